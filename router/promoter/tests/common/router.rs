//! A router that follows the routes file and invents its traffic: a thousand requests for each reading.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const REQUESTS_PER_READING: u64 = 1000;

/// The router, and what a test may do to it.
pub(crate) struct FakeRouter {
    pub(crate) address: String,
    state: Arc<Mutex<FakeState>>,
}

/// How it treats what it reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routing {
    /// It takes the file over at once.
    Follows,
    /// It keeps what it has.
    Lags,
}

struct FakeState {
    file: PathBuf,
    routing: Routing,
    requests_per_reading: u64,
    /// The share of the candidate's requests that fail.
    canary_errors: f64,
    instance: u64,
    generation: u64,
    weight: u64,
    /// Set by hand, until the file says another generation.
    by_hand: Option<u64>,
    /// By track: good requests, failed requests.
    counted: [[u64; 2]; 2],
    /// Shown instead of the metrics.
    page: Option<String>,
}

impl FakeRouter {
    pub(crate) async fn start(file: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = FakeState {
            file,
            routing: Routing::Follows,
            requests_per_reading: REQUESTS_PER_READING,
            canary_errors: 0.0,
            instance: 1,
            generation: 0,
            weight: 0,
            by_hand: None,
            counted: [[0; 2]; 2],
            page: None,
        };
        let state = Arc::new(Mutex::new(state));
        let app = Router::new()
            .route(
                "/routes",
                get(async |State(state): State<Arc<Mutex<FakeState>>>| Json(state.lock().unwrap().routes())),
            )
            .route(
                "/metrics",
                get(async |State(state): State<Arc<Mutex<FakeState>>>| state.lock().unwrap().metrics()),
            )
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, state }
    }

    pub(crate) fn fail_canary(&self, share: f64) {
        self.state.lock().unwrap().canary_errors = share;
    }

    pub(crate) fn slow_down(&self, requests_per_reading: u64) {
        self.state.lock().unwrap().requests_per_reading = requests_per_reading;
    }

    /// A weight that somebody sets by hand.
    pub(crate) fn set_weight(&self, basis_points: u64) {
        self.state.lock().unwrap().by_hand = Some(basis_points);
    }

    pub(crate) fn set(&self, routing: Routing) {
        self.state.lock().unwrap().routing = routing;
    }

    /// Another process with counters that begin anew.
    pub(crate) fn restart(&self) {
        let mut state = self.state.lock().unwrap();
        state.instance += 1;
        state.counted = [[0; 2]; 2];
    }

    pub(crate) fn show(&self, page: Option<&str>) {
        self.state.lock().unwrap().page = page.map(str::to_owned);
    }
}

impl FakeState {
    fn follow(&mut self) {
        if self.routing == Routing::Lags {
            return;
        }
        let Ok(text) = fs::read_to_string(&self.file) else { return };
        let file: Value = serde_saphyr::from_str(&text).unwrap();
        let backends = file["routes"][0]["backends"].as_array().unwrap();
        let weight = |track: &str| {
            let backend = backends.iter().find(|backend| backend["track"] == track);
            backend.map_or(0, |backend| backend["weight"].as_u64().unwrap())
        };
        let generation = file["generation"].as_u64().unwrap();
        self.by_hand = self.by_hand.filter(|_| generation == self.generation);
        self.generation = generation;
        assert_eq!(weight("canary") + weight("stable"), 10_000, "{text}");
        self.weight = self.by_hand.unwrap_or(weight("canary"));
    }

    fn routes(&mut self) -> Value {
        self.follow();
        let backend = |track: &str, weight: u64| json!({"name": track, "track": track, "weight": weight, "inFlight": 0, "endpoints": []});
        let backends = [backend("stable", 10_000 - self.weight), backend("canary", self.weight)];
        json!({
            "instance": self.instance.to_string(), "generation": self.generation, "lastError": null,
            "routes": [{"name": "hello", "generation": self.generation, "tripped": null, "backends": backends}],
        })
    }

    fn metrics(&mut self) -> String {
        self.follow();
        if let Some(page) = &self.page {
            return page.clone();
        }
        let canary = self.requests_per_reading * self.weight / 10_000;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let failed = (canary as f64 * self.canary_errors).round() as u64;
        let more = [[self.requests_per_reading - canary, 0], [canary - failed, failed]];
        for (track, more) in self.counted.iter_mut().zip(more) {
            track[0] += more[0];
            track[1] += more[1];
        }
        let mut page = format!("huidu_router_generation {}\n", self.generation);
        for (track, counted) in ["stable", "canary"].iter().zip(self.counted) {
            for (class, count) in ["2xx", "5xx"].iter().zip(counted) {
                writeln!(
                    page,
                    "huidu_router_first_attempt_duration_seconds_count{{route=\"hello\",track=\"{track}\",class=\"{class}\"}} {count}"
                )
                .unwrap();
            }
        }
        page
    }
}
