//! Somebody elsewhere who is asked or told by HTTP.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// What was received, and what is answered.
#[derive(Clone)]
pub(crate) struct Hook {
    pub(crate) url: String,
    heard: Arc<Mutex<Heard>>,
}

struct Heard {
    requests: Vec<(HeaderMap, Value)>,
    answer: (u16, &'static str),
}

impl Hook {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Heard { requests: Vec::new(), answer: (204, "") }));
        let hear = async |State(heard): State<Arc<Mutex<Heard>>>, headers: HeaderMap, body: String| {
            let mut heard = heard.lock().unwrap();
            heard.requests.push((headers, serde_json::from_str(&body).unwrap()));
            let (status, text) = heard.answer;
            (StatusCode::from_u16(status).unwrap(), text)
        };
        let app = Router::new().route("/hook", post(hear)).with_state(Arc::clone(&heard));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, heard }
    }

    pub(crate) fn answer(&self, status: u16, text: &'static str) {
        self.heard.lock().unwrap().answer = (status, text);
    }

    pub(crate) fn requests(&self) -> Vec<(HeaderMap, Value)> {
        self.heard.lock().unwrap().requests.clone()
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.requests().into_iter().map(|(_, body)| body).collect()
    }
}
