//! What a careful user of Pingora would write for this job: one thread, two tracks by weight, pooled connections,
//! the usual forwarding header, a retry when no connection can be made.

use async_trait::async_trait;
use pingora_core::{
    Error, Result,
    apps::HttpServerOptions,
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};
use pingora_http::RequestHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use rand::RngExt;
use std::sync::Arc;

struct Canary;

#[derive(Default)]
struct Attempts(usize);

const ATTEMPTS_MAX: usize = 4;

#[async_trait]
impl ProxyHttp for Canary {
    type CTX = Attempts;

    fn new_ctx(&self) -> Attempts {
        Attempts::default()
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Attempts) -> Result<Box<HttpPeer>> {
        let port = match rand::rng().random_range(0..100) {
            0..45 => 18_900,
            45..90 => 18_901,
            _ => 18_902,
        };
        Ok(Box::new(HttpPeer::new(("127.0.0.1", port), false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _: &mut Attempts,
    ) -> Result<()> {
        if let Some(address) = session.client_addr().and_then(|address| address.as_inet()) {
            request.insert_header("x-forwarded-for", address.ip().to_string())?;
        }
        request.insert_header("x-forwarded-proto", "http")
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        attempts: &mut Attempts,
        mut error: Box<Error>,
    ) -> Box<Error> {
        attempts.0 += 1;
        error.set_retry(attempts.0 < ATTEMPTS_MAX);
        error
    }
}

fn main() {
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: 256,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let configuration = Arc::clone(&server.configuration);
    // The look for the preface of HTTP/2 costs a little, so HTTP/1.1 has a port without it.
    let mut h1 = http_proxy_service(&configuration, Canary);
    h1.add_tcp("127.0.0.1:18910");
    let mut h2 = http_proxy_service(&configuration, Canary);
    h2.add_tcp("127.0.0.1:18911");
    if let Some(app) = h2.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        app.server_options = Some(options);
    }
    server.add_service(h1);
    server.add_service(h2);
    server.run_forever();
}
