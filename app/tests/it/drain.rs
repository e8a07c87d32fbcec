//! Ending without losing a request, over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use blog::{Drain, End, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::{TestBlog, options};

const DRAIN: Drain = Drain { delay: Duration::from_millis(300), timeout: Duration::from_secs(5) };

async fn ask(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: blog.test\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 64 << 10];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

async fn started(
    router: Router,
    drain: Drain,
) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<End>) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), router).await.unwrap();
    let address = server.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(server.serve(async { drop(stopped.await) }, || {}, drain));
    (address, stop, running)
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_idle_connections_are_let_go() {
    let slow = Router::new().route(
        "/slow",
        get(|| async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            "done"
        }),
    );
    let (address, stop, running) = started(slow, DRAIN).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    let answer = tokio::spawn(async move { ask(&mut busy, "/slow").await });
    let _idle = TcpStream::connect(address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    assert!(answer.await.unwrap().contains("done"));
    assert_eq!(running.await.unwrap(), End::Clean);
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn serving_goes_on_during_the_delay_while_readiness_says_no_and_connections_are_asked_to_close() {
    let blog = TestBlog::with(options()).await;
    let app = blog.app.clone();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), blog::web::router(&app)).await.unwrap();
    let address = server.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (told, draining) = oneshot::channel();
    let tell = {
        let app = app.clone();
        move || {
            app.drain();
            told.send(()).unwrap();
        }
    };
    let running = tokio::spawn(server.serve(async { drop(stopped.await) }, tell, DRAIN));
    let mut before = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut before, "/readyz").await.starts_with("HTTP/1.1 200"));
    stop.send(()).unwrap();
    draining.await.unwrap();
    let answer = ask(&mut before, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    let mut new = TcpStream::connect(address).await.unwrap();
    let ready = ask(&mut new, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("draining"), "{ready}");
    let mut alive = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut alive, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert_eq!(running.await.unwrap(), End::Clean);
}

#[tokio::test]
async fn the_deadline_ends_a_request_that_never_ends() {
    let stuck = Router::new().route("/stuck", get(std::future::pending::<()>));
    let drain = Drain { delay: Duration::from_millis(10), timeout: Duration::from_millis(200) };
    let (address, stop, running) = started(stuck, drain).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /stuck HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    assert_eq!(running.await.unwrap(), End::Cut(1));
}
