//! Who is measured, and how each is started.

use rustix::process::Signal;
use std::path::Path;

/// Where every peer listens; one of them runs at a time.
pub const H1_PORT: u16 = 18_910;
pub const H2_PORT: u16 = 18_911;
const ADMIN_PORT: u16 = 18_912;

#[derive(Clone, Debug)]
pub struct Peer {
    pub name: &'static str,
    pub command: Vec<String>,
    /// Where HTTP/2 without TLS is spoken, if it is.
    pub h2_port: Option<u16>,
    /// Ends it soon, and in order.
    pub stop: Signal,
}

// === impl Peer ===

impl Peer {
    /// All that it listens to.
    pub fn ports(&self) -> Vec<u16> {
        [H1_PORT].into_iter().chain(self.h2_port).collect()
    }
}

/// All peers: `bench` is the folder of the configurations, `build` that of the compiled programs.
pub fn all(bench: &Path, build: &Path) -> Vec<Peer> {
    let config = |name: &str| bench.join("peers").join(name).display().to_string();
    let built = |name: &str| build.join("build/release").join(name).display().to_string();
    let peer = |name, command: String, h2_port| Peer {
        name,
        command: command.split_whitespace().map(str::to_owned).collect(),
        h2_port,
        // Pingora takes five minutes after SIGTERM.
        stop: if name == "pingora" { Signal::INT } else { Signal::TERM },
    };
    let (router, routes) = (built("router"), config("huidu.yaml"));
    let envoy = build.join("envoy/envoy").display().to_string();
    vec![
        peer("floor", format!("{} floor", built("bench")), None),
        peer(
            "huidu",
            format!(
                "{router} --workers 1 --listen 127.0.0.1:{H1_PORT} --admin-listen 127.0.0.1:{ADMIN_PORT} \
                 --routes {routes} --log error --drain-delay 0s"
            ),
            Some(H1_PORT),
        ),
        peer("haproxy", format!("haproxy -db -q -f {}", config("haproxy.cfg")), Some(H2_PORT)),
        peer("nginx", format!("nginx -p {} -c {}", build.display(), config("nginx.conf")), Some(H2_PORT)),
        peer("pingora", built("pingora-peer"), Some(H2_PORT)),
        peer(
            "envoy",
            format!("{envoy} -c {} --concurrency 1 --disable-hot-restart -l critical", config("envoy.yaml")),
            Some(H1_PORT),
        ),
    ]
}
