use crate::{
    support::{Client, GET, Origin, eventually, get, metric, router_with, routes},
    upgrade,
};
use proxy::run::Router;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName},
    },
};

/// A certificate and its key in files, and what a client trusts.
pub(crate) struct Files {
    folder: tempfile::TempDir,
}

// === impl Files ===

impl Files {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Writes another certificate for `localhost`, and returns it.
    pub(crate) fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        self.write("tls.crt", &cert.pem());
        self.write("tls.key", &signing_key.serialize_pem());
        cert.der().clone()
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.folder.path().join(name), text);
    }

    fn flags(&self) -> [String; 3] {
        [
            "--tls-listen=127.0.0.1:0".to_owned(),
            format!("--tls-certificate={}", self.path("tls.crt")),
            format!("--tls-key={}", self.path("tls.key")),
        ]
    }

    pub(crate) async fn router(&self, yaml: &str, more: &[&str]) -> Router {
        let flags = self.flags();
        let flags: Vec<_> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
        router_with(yaml, &flags).await
    }
}

fn write(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(next, path).unwrap();
}

async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
) -> TlsStream<TcpStream> {
    try_connect(address, trusted, protocols).await.unwrap()
}

async fn try_connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    shake_hands(TcpStream::connect(address).await?, trusted, protocols).await
}

async fn shake_hands(
    stream: TcpStream,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Sends bytes and reads until there is an answer's end or the connection's.
async fn ask(stream: &mut TlsStream<TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 4096]);
    loop {
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.unwrap();
        let read = read.unwrap_or(0);
        seen.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        if read == 0 || text.ends_with("stable") {
            return text;
        }
    }
}

#[tokio::test]
async fn http_1_over_tls_goes_through_the_same_gate() {
    let stable = Origin::good("stable").await;
    let files = Files::new();
    let certificate = files.renew();
    let router = files.router(&routes((&[&stable], 1), (&[], 0), ""), &[]).await;
    let address = router.tls_address.unwrap();
    for protocols in [&["http/1.1"][..], &[]] {
        let mut stream = connect(address, &certificate, protocols).await;
        assert!(ask(&mut stream, GET).await.starts_with("HTTP/1.1 200 OK\r\n"));
        let head = stable.last_head();
        assert!(head.contains("\r\nx-forwarded-proto: https\r\n"), "{head}");
        let both =
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        let refused = ask(&mut stream, both).await;
        assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("connection: close"), "{refused}");
        assert_eq!(stable.requests(), 1);
        stable.forget();
    }
    let mut stream = connect(address, &certificate, &["http/1.1"]).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert!(ask(&mut stream, preface).await.starts_with("HTTP/1.1 505 "), "not what was agreed on");
}

#[tokio::test]
async fn the_end_of_a_connection_is_said_and_not_only_cut() {
    let stable = Origin::good("stable").await;
    let files = Files::new();
    let certificate = files.renew();
    let router = files.router(&routes((&[&stable], 1), (&[], 0), ""), &[]).await;
    let mut stream = connect(router.tls_address.unwrap(), &certificate, &["http/1.1"]).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("close_notify came before the end");
    assert!(answer.ends_with(b"stable"));
}

#[tokio::test]
async fn http_2_is_agreed_on_by_alpn_and_nothing_else_is() {
    use http_body_util::{BodyExt, Empty};
    use hyper::client::conn::http2;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let stable = Origin::good("stable").await;
    let files = Files::new();
    let certificate = files.renew();
    let router = files.router(&routes((&[&stable], 1), (&[], 0), ""), &[]).await;
    let address = router.tls_address.unwrap();
    let stream = connect(address, &certificate, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get("https://localhost/").body(Empty::<bytes::Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "stable");
    assert!(stable.last_head().contains("\r\nx-forwarded-proto: https\r\n"));

    let refused = try_connect(address, &certificate, &["h3"]).await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn an_upgraded_connection_goes_on_inside_of_tls() {
    let files = Files::new();
    let certificate = files.renew();
    let router = files.router(&upgrade::route(upgrade::echo().await), &[]).await;
    let mut stream = connect(router.tls_address.unwrap(), &certificate, &["http/1.1"]).await;
    let answer = ask(&mut stream, &format!("{}stable", upgrade::UPGRADE)).await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("welcome stable"), "{answer}");
    assert_eq!(ask(&mut stream, "still stable").await, "still stable");
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_the_last_good_one_stays() {
    let stable = Origin::good("stable").await;
    let files = Files::new();
    let first = files.renew();
    let router = files.router(&routes((&[&stable], 1), (&[], 0), ""), &[]).await;
    let (address, admin) = (router.tls_address.unwrap(), router.admin_address);
    let mut old = connect(address, &first, &[]).await;
    assert!(ask(&mut old, GET).await.ends_with("stable"));

    let second = files.renew();
    eventually("the new certificate is used", || async { try_connect(address, &second, &[]).await.is_ok() })
        .await;
    assert!(try_connect(address, &first, &[]).await.is_err());
    assert!(ask(&mut old, GET).await.ends_with("stable"), "an open connection goes on");

    let errors = metric(&router, "huidu_router_config_errors_total").await;
    files.write("tls.crt", "nonsense");
    let page = || get(admin, "/routes");
    eventually("the mistake is told", || async { page().await.text().contains("no certificate; it must") })
        .await;
    assert!(page().await.text().contains("tls.crt"), "{}", page().await.text());
    assert_eq!(metric(&router, "huidu_router_config_errors_total").await, errors + 1.0);
    let mut new = connect(address, &second, &[]).await;
    assert!(ask(&mut new, GET).await.ends_with("stable"), "the last good certificate");

    let third = files.renew();
    eventually("it is mended", || async { try_connect(address, &third, &[]).await.is_ok() }).await;
    assert!(!page().await.text().contains("tlsError"), "{}", page().await.text());
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_a_remedy_when_it_starts() {
    use clap::Parser;
    let files = Files::new();
    let start = || {
        let flags = files.flags();
        let base = ["router", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--workers=1"];
        let args = base.iter().map(|flag| (*flag).to_owned()).chain(flags);
        Router::start(proxy::args::Args::try_parse_from(args).unwrap())
    };
    let message = async || start().await.unwrap_err().to_string();
    assert!(message().await.contains("tls.crt: No such file"), "{}", message().await);
    files.renew();
    files.write("tls.key", "");
    assert!(message().await.contains("tls.key: no private key; it must hold"), "{}", message().await);
    files.write("tls.key", &KeyPair::generate().unwrap().serialize_pem());
    let unfit = message().await;
    assert!(unfit.contains("tls.crt and ") && unfit.contains("write a certificate"), "{unfit}");
    files.write("tls.crt", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    assert!(message().await.contains("tls.crt: "), "{}", message().await);
    let alone = proxy::args::Args::try_parse_from(["router", "--tls-listen=127.0.0.1:0"]).unwrap_err();
    assert!(alone.to_string().contains("--tls-certificate"), "{alone}");
}

#[tokio::test]
async fn a_handshake_has_a_deadline() {
    let files = Files::new();
    files.renew();
    let router = files.router("", &["--client-head-timeout=200ms"]).await;
    let address = router.tls_address.unwrap();
    for bytes in [&b""[..], b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut client = Client::connect(address).await;
        client.send(bytes).await;
        let mut closed = client.read_all().await < 1_000;
        closed &= client.is_closed().await;
        assert!(closed, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_drain_does_not_wait_for_clients_that_ask_for_nothing() {
    let files = Files::new();
    let certificate = files.renew();
    for protocol in ["http/1.1", "h2"] {
        let router = files.router("", &[]).await;
        let mut silent = connect(router.tls_address.unwrap(), &certificate, &[protocol]).await;
        let draining = tokio::time::timeout(Duration::from_secs(10), router.drain());
        draining.await.expect("the deadline, 25 seconds, is not needed");
        let ended = silent.read_to_end(&mut Vec::new()).await;
        assert!(ended.is_ok() || protocol == "h2", "the end is said: {ended:?}");
    }
}

#[tokio::test]
async fn a_client_whose_handshake_ends_late_in_a_drain_is_answered() {
    let stable = Origin::good("stable").await;
    let files = Files::new();
    let certificate = files.renew();
    let router = files.router(&routes((&[&stable], 1), (&[], 0), ""), &["--workers=1"]).await;
    let mut idle = Client::connect(router.address).await;
    assert_eq!(idle.get().await.status, 200);
    let late = TcpStream::connect(router.tls_address.unwrap()).await.unwrap();
    let draining = tokio::spawn(router.drain());
    assert!(idle.is_closed().await, "idle connections are closed");
    let mut late = shake_hands(late, &certificate, &["http/1.1"]).await.unwrap();
    // The request comes after the router has seen the end of the handshake.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = ask(&mut late, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
    draining.await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go_over_tls_too() {
    let origin = crate::support::stream_of(64 << 20).await;
    let files = Files::new();
    let certificate = files.renew();
    let yaml =
        format!("routes: [{{name: r, backends: [{{name: b, track: stable, endpoints: ['{origin}']}}]}}]");
    let router = files.router(&yaml, &["--client-stall-timeout=200ms"]).await;
    let mut stream = connect(router.tls_address.unwrap(), &certificate, &[]).await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (mut total, mut buffer) = (0, vec![0; 1 << 16]);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        total += read;
    }
    assert!(total < 64 << 20, "the rest was not waited for");
}

#[tokio::test]
async fn clients_of_other_makers_are_served() {
    let stable = Origin::good("stable").await;
    let files = Files::new();
    files.renew();
    let router = files.router(&routes((&[&stable], 1), (&[], 0), ""), &[]).await;
    let (plain, tls) = (router.address, router.tls_address.unwrap().port());
    let certificate = files.path("tls.crt");
    let resolve = format!("localhost:{tls}:127.0.0.1");
    let secure = ["--cacert", &certificate, "--resolve", &resolve, &format!("https://localhost:{tls}/")];
    let open = [&*format!("http://{plain}/")];
    for (version, flags) in [
        ("1.1", [&["--http1.1"], &open[..]].concat()),
        ("2", [&["--http2-prior-knowledge"], &open[..]].concat()),
        ("1.1", [&["--http1.1"], &secure[..]].concat()),
        ("2", [&["--http2"], &secure[..]].concat()),
    ] {
        let args = [&["--silent", "--show-error", "--write-out", " %{http_version}"], &flags[..]].concat();
        match run("curl", &args).await {
            Some(said) => assert_eq!(said, format!("stable {version}"), "{flags:?}"),
            None => println!("skipped: curl is not installed"),
        }
    }
    for target in [format!("http://{plain}/"), format!("https://127.0.0.1:{tls}/")] {
        match run("h2load", &["-n2000", "-c4", "-m50", &target]).await {
            Some(said) => assert!(said.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}"),
            None => println!("skipped: h2load is not installed (Debian: apt-get install nghttp2-client)"),
        }
    }
}

/// What a program prints; `None` where it is not installed.
async fn run(program: &str, args: &[&str]) -> Option<String> {
    match tokio::process::Command::new(program).args(args).output().await {
        Ok(output) => Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{program}: {error}"),
    }
}
