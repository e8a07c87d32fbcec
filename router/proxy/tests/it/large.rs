//! Large answers, which go from socket to socket without coming by the process.

use crate::{
    program::Program,
    scripted::Scripted,
    support::{Client, GET},
};
use serde_json::Value;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time,
};

const LENGTH: usize = 300_000;
const ALL: &str = "--access-log=100%";

/// No part of it looks like another one.
fn body() -> Vec<u8> {
    (0..LENGTH).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect()
}

fn answer() -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").into_bytes(), body()].concat()
}

#[tokio::test]
async fn large_answers_come_whole_and_the_connections_stay_in_step() {
    let backend = Scripted::start(answer()).await;
    let program = Program::start(&backend.route(), &[ALL]).await;
    let mut client = Client::connect(program.address).await;
    // All at once, so that the later ones are there while the first answer is on its way.
    client.send(GET.repeat(3)).await;
    for _ in 0..3 {
        assert!(client.answer().await.unwrap().body == body());
    }
    backend.now("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.get().await.text(), "ok");
    assert_eq!(backend.connections(), 1);
    for line in &program.exactly(4).await[..3] {
        assert_eq!((&line["bytesSent"], &line["reason"]), (&LENGTH.into(), &Value::Null));
    }
}

#[tokio::test]
async fn a_reader_that_takes_its_time_gets_all_of_it() {
    let backend = Scripted::start(answer()).await;
    let program = Program::start(&backend.route(), &["--client-stall-timeout=500ms"]).await;
    let mut client = Client::connect(program.address).await;
    client.send(GET.repeat(20)).await;
    let mut rest = answer().len() * 20;
    while rest > 0 {
        let piece = rest.min(500_000);
        assert_eq!(client.bytes(piece).await.len(), piece);
        rest -= piece;
        time::sleep(Duration::from_millis(100)).await;
    }
}

/// What becomes of a backend after half of its answer.
#[derive(Clone, Copy)]
enum Then {
    Closes,
    IsSilent,
}

async fn half_an_answer(then: Then) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(&answer()[..LENGTH / 2]).await;
                if matches!(then, Then::IsSilent) {
                    time::sleep(Duration::from_secs(60)).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_large_answer_that_breaks_off_never_looks_whole_and_the_log_says_why() {
    for (then, reason) in [(Then::Closes, "reset"), (Then::IsSilent, "timeout")] {
        let backend = half_an_answer(then).await;
        let yaml = format!(
            "routes: [{{name: r, timeouts: {{idle: 300ms}}, \
             backends: [{{name: b, track: stable, endpoints: ['{backend}']}}]}}]"
        );
        let program = Program::start(&yaml, &[ALL]).await;
        let mut client = Client::connect(program.address).await;
        client.send(GET).await;
        assert!(client.answer().await.is_none(), "{reason}");
        let lines = program.exactly(1).await;
        let head = answer().len() - LENGTH;
        let told = (&lines[0]["status"], &lines[0]["reason"], &lines[0]["bytesSent"]);
        assert_eq!(told, (&200.into(), &reason.into(), &(LENGTH / 2 - head).into()));
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_takes_nobody_with_it() {
    let backend = half_an_answer(Then::IsSilent).await;
    let yaml =
        format!("routes: [{{name: r, backends: [{{name: b, track: stable, endpoints: ['{backend}']}}]}}]");
    let program = Program::start(&yaml, &[ALL]).await;
    let mut client = Client::connect(program.address).await;
    client.send(GET).await;
    client.bytes(100_000).await;
    drop(client);
    let lines = program.exactly(1).await;
    assert_eq!(lines[0]["reason"], "client_left");
}
