//! Somebody elsewhere who is asked or told by HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// It keeps what it heard: the header `authorization`, and the body.
pub(crate) struct Hook {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    heard: Vec<(String, Value)>,
    answer: &'static str,
}

// === impl Hook ===

impl Hook {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { heard: Vec::new(), answer: "{\"allowed\": true}" }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One at a time is enough; whoever breaks off is not heard.
                let _ = hear(stream, &shared).await;
            }
        });
        Ok(Self { address, state })
    }

    /// What it answers from now on.
    pub(crate) fn answers(&self, json: &'static str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).answer = json;
    }

    /// What it heard so far.
    pub(crate) fn heard(&self) -> Vec<(String, Value)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).heard.clone()
    }
}

async fn hear(stream: TcpStream, state: &Mutex<State>) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().context("a length")?,
            "authorization" => value.clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = serde_json::from_slice(&body)?;
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.heard.push((authorization, body));
        state.answer
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    Ok(stream.get_mut().write_all(format!("{head}{answer}").as_bytes()).await?)
}
