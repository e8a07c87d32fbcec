//! The smallest workload: `hello --listen 127.0.0.1:18100` answers with its version, and fails as it is told to.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Answers until SIGTERM, then lets requests under way end.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Ok(reason) = env::var("HELLO_CRASH") {
        eprintln!("{reason}");
        std::process::exit(3);
    }
    let address = env::args().nth(2).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let version = env::var("HELLO_VERSION").unwrap_or_else(|_| "v1".to_owned());
    let fail_every: u64 = env::var("HELLO_FAIL_EVERY").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let listener = TcpListener::bind(&address).await?;
    let requests = AtomicU64::new(0);
    let hello = async move || {
        let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
        match number.checked_rem(fail_every) {
            Some(0) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{version} failed\n")),
            _ => (StatusCode::OK, format!("hello from {version}\n")),
        }
    };
    let hello = std::sync::Arc::new(hello);
    let app =
        Router::new().route("/readyz", get(async || "ok\n")).route("/", get(async move || hello().await));
    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .await?;
    Ok(())
}
