//! More requests than a backend can take.

use crate::{
    program::Program,
    support::{Behaviour, Client, GET, Origin, eventually, get},
};

/// Resident memory that a thousand connections may add, whatever they ask in vain: 3.3 MiB were measured.
const GROWTH_BYTES_MAX: usize = 8 * 1024 * 1024;

#[tokio::test]
async fn thousands_of_requests_to_a_backend_that_hangs_are_refused_before_memory_grows() {
    let hangs = Origin::start("hangs", Behaviour::Hang).await;
    let program = Program::start(
        &format!(
            "routes: [{{name: r, backends: [{{name: b, track: stable, endpoints: ['{}'], \
             maxRequests: 50, queue: {{maxRequests: 50, timeout: 60s}}}}]}}]",
            hangs.address
        ),
        &[],
    )
    .await;
    let _waiting = Client::each(program.address, 100, GET).await;
    eventually("all have room or a place in the queue", || async {
        get(program.admin_address, "/routes").await.text().contains("\"inFlight\":100,\"invalid\"")
    })
    .await;
    let before = program.resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        clients.push(Client::connect(program.address).await);
    }
    for _ in 0..5 {
        for client in &mut clients {
            client.send(GET).await;
        }
        for client in &mut clients {
            let answer = client.answer().await.unwrap();
            assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "1"));
        }
    }
    let grown = program.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more than {before}");
    assert_eq!(hangs.requests(), 50);
}
