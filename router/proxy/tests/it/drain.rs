//! SIGTERM, as clients of both versions see it.

use crate::{
    h2_origin::{Call, H2Client, H2Origin, Reply},
    support::{Behaviour, Client, Origin, router, router_with, routes},
    wire::{GOAWAY, Outcome, Wire},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
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
async fn a_stream_that_does_not_end_is_cut_at_the_deadline() {
    let stable = H2Origin::good("stable").await;
    stable.now(Reply::Echo);
    let yaml = format!(
        "routes: [{{name: r, backends: [{{name: b, track: stable, appProtocol: kubernetes.io/h2c, endpoints: ['{}']}}]}}]",
        stable.address
    );
    let router = router_with(&yaml, &["--drain-timeout=1s"]).await;
    let client = H2Client::connect(router.address).await;
    let mut stream = client.stream(Call::grpc(b"")).await;
    let draining = tokio::spawn(router.drain());
    time::sleep(Duration::from_millis(300)).await;
    stream.send(b"still here").await;
    assert_eq!(stream.receive(10).await, b"still here", "until then it goes on");
    time::timeout(Duration::from_secs(8), draining).await.expect("the deadline").unwrap();
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
