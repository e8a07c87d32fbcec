//! SIGTERM, as clients of both versions see it.

use crate::{
    h2_origin::{Call, H2Client, H2Origin, Reply},
    program::Program,
    support::{Behaviour, Client, Origin, eventually, get, router, router_with, routes},
    upgrade,
    wire::{DATA, END_HEADERS, GOAWAY, HEADERS, Outcome, POST, Wire, block},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time};

#[tokio::test]
async fn http_2_clients_are_told_to_go_and_what_is_in_flight_is_answered() {
    let stable = Origin::start("stable", Behaviour::Slow(Duration::from_millis(300))).await;
    let router = router(&routes((&[&stable], 1), (&[], 0), "")).await;
    let mut idle = Wire::connect(router.address).await;
    assert_eq!(idle.get(1).await, Outcome::Status(200));
    let busy = H2Client::connect(router.address).await;
    let call = tokio::spawn(busy.call(Call::get("/")));
    time::sleep(Duration::from_millis(50)).await;

    let draining = tokio::spawn(router.drain());
    let goodbye = loop {
        let frame = idle.next().await.expect("GOAWAY");
        if frame.kind == GOAWAY {
            break frame;
        }
    };
    assert_eq!(goodbye.payload[4..8], [0; 4], "it is no error");
    let answer = call.await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body), (200, b"stable".to_vec()));
    time::timeout(Duration::from_secs(8), draining).await.expect("no deadline is needed").unwrap();
    assert!(busy.is_closed());
}

#[tokio::test]
async fn for_a_while_it_is_not_ready_and_serves_new_clients_as_before() {
    let stable = Origin::good("stable").await;
    let router = router_with(&routes((&[&stable], 1), (&[], 0), ""), &["--drain-delay=1s"]).await;
    let (address, admin) = (router.address, router.admin_address);
    assert_eq!(get(admin, "/readyz").await.status, 200);
    let draining = tokio::spawn(router.drain());
    eventually("it is not ready", || async { get(admin, "/readyz").await.status == 503 }).await;
    assert_eq!(get(admin, "/readyz").await.text(), "draining\n");
    let mut new = Client::connect(address).await;
    let answer = new.get().await;
    assert_eq!((answer.status, answer.headers.get("connection")), (200, None));
    assert_eq!(H2Client::connect(address).await.call(Call::get("/")).await.unwrap().status, 200);
    time::timeout(Duration::from_secs(8), draining).await.expect("no deadline is needed").unwrap();
    assert!(new.is_closed().await && TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_does_not_end_goes_on_until_the_deadline_and_is_cut_then() {
    let (chat, hanging) = (upgrade::echo().await, Origin::start("hanging", Behaviour::Hang).await);
    let echo = H2Origin::good("echo").await;
    echo.now(Reply::Echo);
    let route = |name: &str, address: SocketAddr, more: &str| {
        format!(
            "{{name: r{name}, pathPrefix: /{name}, backends: [{{name: b, endpoints: ['{address}']{more}}}]}}"
        )
    };
    let yaml = format!(
        "routes: [{}, {}, {}]",
        route("chat", chat, ""),
        route("hang", hanging.address, ""),
        route("", echo.address, ", appProtocol: kubernetes.io/h2c")
    );
    let mut program = Program::start(&yaml, &["--drain-delay=0s", "--drain-timeout=1s"]).await;
    let mut websocket = Client::connect(program.address).await;
    websocket.send(upgrade::UPGRADE).await;
    assert_eq!(websocket.answer().await.unwrap().status, 101);
    assert_eq!(websocket.bytes(8).await, b"welcome ");
    let mut waiting = Client::connect(program.address).await;
    waiting.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the backend has the request", || async { hanging.requests() == 1 }).await;
    let mut stream = Wire::connect(program.address).await;
    stream.send(HEADERS, END_HEADERS, 1, &block(&POST)).await;
    assert_eq!(stream.outcome(1).await, Outcome::Status(200));

    let began = Instant::now();
    program.terminate();
    let is_shut = || async { TcpStream::connect(program.address).await.is_err() };
    eventually("nobody new is let in", is_shut).await;
    assert_eq!(get(program.admin_address, "/readyz").await.status, 503);
    websocket.send("still here").await;
    assert_eq!(websocket.bytes(10).await, b"still here");
    stream.send(DATA, 0, 1, b"still here").await;
    while stream.next().await.expect("what was sent comes back").payload != b"still here" {}
    assert!(program.ended().await.success());
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(websocket.is_closed().await && stream.is_closed().await);
    assert!(waiting.answer().await.is_none());
}

#[tokio::test]
async fn sigterm_lets_clients_of_http_2_finish_and_tells_them_to_go() {
    let stable = Origin::start("stable", Behaviour::Slow(Duration::from_millis(300))).await;
    let mut program = Program::start(&routes((&[&stable], 1), (&[], 0), ""), &["--drain-delay=0s"]).await;
    let client = H2Client::connect(program.address).await;
    let calls: Vec<_> = (0..5).map(|_| tokio::spawn(client.call(Call::get("/")))).collect();
    eventually("all are at the backend", || async { stable.requests() == 5 }).await;
    program.terminate();
    for call in calls {
        let answer = call.await.unwrap().unwrap();
        assert_eq!((answer.status, answer.body), (200, b"stable".to_vec()));
    }
    assert!(program.ended().await.success(), "no deadline is needed");
    assert!(client.is_closed() && client.call(Call::get("/")).await.is_err());
}

/// Clients that connect anew when they are told to, until there is nobody to connect to.
#[tokio::test]
async fn no_request_fails_while_routers_take_turns_under_load() {
    let stable = Origin::good("stable").await;
    let yaml = routes((&[&stable], 1), (&[], 0), "");
    let first = router_with(&yaml, &["--reuse-port"]).await;
    let address = first.address;
    let second = router_with(&yaml, &[&format!("--listen={address}"), "--reuse-port"]).await;
    let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (count, end) = (Arc::clone(&answered), Arc::clone(&stop));
        load.spawn(async move {
            while !end.load(SeqCst) {
                let mut client = Client::connect(address).await;
                loop {
                    let answer = client.get().await;
                    assert_eq!((answer.status, answer.text()), (200, "stable"));
                    count.fetch_add(1, SeqCst);
                    if answer.headers.get("connection").is_some_and(|value| value == "close")
                        || end.load(SeqCst)
                    {
                        break;
                    }
                }
            }
        });
        let (count, end) = (Arc::clone(&answered), Arc::clone(&stop));
        load.spawn(async move {
            while !end.load(SeqCst) {
                let client = H2Client::connect(address).await;
                while !end.load(SeqCst) {
                    match client.call(Call::get("/")).await {
                        Ok(answer) => assert_eq!((answer.status, answer.body), (200, b"stable".to_vec())),
                        // It was never sent: GOAWAY came first.
                        Err(error) if error.is_canceled() => break,
                        Err(error) => panic!("{error:?}"),
                    }
                    count.fetch_add(1, SeqCst);
                }
            }
        });
    }
    time::sleep(Duration::from_millis(300)).await;
    let before = answered.load(SeqCst);
    first.drain().await;
    let after = answered.load(SeqCst);
    time::sleep(Duration::from_millis(200)).await;
    stop.store(true, SeqCst);
    while let Some(client) = load.join_next().await {
        client.expect("no request fails");
    }
    assert!(before > 0 && after > before && answered.load(SeqCst) > after);
    second.drain().await;
    assert!(TcpStream::connect(address).await.is_err());
}
