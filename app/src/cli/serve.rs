//! `blog serve`: check, bind, serve, drain.

use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{FaultArgs, PicturesArgs, ServeArgs};
use crate::pictures::Place;
use crate::server::{Drain, End, Server};
use crate::store::{DatabaseUrl, Store};
use crate::web::faults::Faults;
use crate::web::{self, App, CookieSafety, Options, Shared};

/// How often counted views are written.
const VIEWS_INTERVAL: Duration = Duration::from_secs(5);
/// How long a starting server waits for a database that is away before it serves 503 and keeps asking.
const START_PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(url: &DatabaseUrl, pictures: &PicturesArgs, args: ServeArgs) -> anyhow::Result<()> {
    let ServeArgs { listen, metrics_listen, faults, drain_delay, drain_timeout, .. } = &args;
    let drain = Drain { delay: *drain_delay, timeout: *drain_timeout };
    announce(faults);
    anyhow::ensure!(!faults.fault_crash_at_start, "crashing at start, as --fault-crash-at-start asks");
    let pictures = pictures.place()?;
    let store = Store::open(url).await.context("can't open the database")?;
    fits(&store).await?;
    let app = App::new(store, options(&args, pictures)).context("can't register metrics")?;
    let server = bind(*listen, "--listen", web::router(&app)).await?;
    let admin = match metrics_listen {
        Some(address) => Some(bind(*address, "--metrics-listen", admin(&app)).await?),
        None => None,
    };
    if let Some(admin) = &admin {
        tracing::info!(address = %admin.address()?, "metrics at http://{}/metrics", admin.address()?);
    }
    let version = &app.options.version;
    tracing::info!(%version, address = %server.address()?, "version {version} serves http://{}", server.address()?);
    if let Some(after) = faults.fault_crash_after {
        tokio::spawn(crash(after));
    }
    let admin = admin.map(|admin| tokio::spawn(admin.serve(std::future::pending(), || {}, drain)));
    let views = tokio::spawn(write_views(app.clone()));
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! { _ = signals.0.recv() => {}, _ = signals.1.recv() => {} }
    };
    let draining = {
        let app = app.clone();
        move || {
            app.drain();
            tracing::info!(delay_ms = drain.delay.as_millis(), "draining: not ready, still serving");
        }
    };
    let end = server.serve(stop, draining, drain).await;
    views.abort();
    flush_views(&app).await;
    if let Some(admin) = admin {
        admin.abort();
    }
    app.store.close().await;
    match end {
        End::Clean => tracing::info!("every request was answered; the end"),
        End::Cut(open) => tracing::warn!(open, "the drain timeout passed with {open} connections open"),
    }
    Ok(())
}

fn options(args: &ServeArgs, pictures: Place) -> Options {
    Options {
        version: args.app_version.clone(),
        pictures,
        accent: args.accent.clone(),
        base_url: args.base_url.clone(),
        trusted_hops: args.trusted_hops,
        cookies: if args.plain_http { CookieSafety::PlainHttp } else { CookieSafety::Secure },
        faults: Faults {
            error_rate: args.faults.fault_error_rate,
            slow_rate: args.faults.fault_slow_rate,
            slow: args.faults.fault_slow,
        },
        request_timeout: args.request_timeout,
        page_cache_bytes: usize::from(args.page_cache_mib) << 20,
    }
}

fn announce(faults: &FaultArgs) {
    let FaultArgs { fault_error_rate, fault_slow_rate, fault_slow, fault_crash_at_start, fault_crash_after } =
        faults;
    if *fault_error_rate > 0.0
        || *fault_slow_rate > 0.0
        || *fault_crash_at_start
        || fault_crash_after.is_some()
    {
        tracing::warn!(
            error_rate = fault_error_rate,
            slow_rate = fault_slow_rate,
            slow_ms = fault_slow.as_millis(),
            crash_at_start = fault_crash_at_start,
            crash_after = ?fault_crash_after,
            "FAULT INJECTION IS ON: this process fails on purpose"
        );
    }
}

/// An older schema ends the start with its name; a database that is away does not: the process then serves 503
/// until it is back, so that nothing crash-loops because of a restart of the database.
async fn fits(store: &Store) -> anyhow::Result<()> {
    match tokio::time::timeout(START_PATIENCE, store.check_schema()).await {
        Ok(Ok(state)) if state.applied > state.known => {
            tracing::info!(
                applied = state.applied,
                known = state.known,
                "the schema is newer than this program, which is fine"
            );
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) if !error.is_unavailable() => return Err(error.into()),
        Ok(Err(error)) => tracing::warn!("the database is away, serving 503 until it is back: {error}"),
        Err(_) => tracing::warn!("the database gave no answer, serving 503 until it does"),
    }
    Ok(())
}

async fn bind(address: std::net::SocketAddr, flag: &str, router: Router) -> anyhow::Result<Server> {
    Server::bind(address, router).await.with_context(|| {
        format!("can't listen on {address}; is another process there? Choose another port with {flag}")
    })
}

/// The port for Prometheus.
fn admin(app: &Shared) -> Router {
    let metrics = |State(app): State<Shared>| async move {
        app.metrics.views_waiting.set(app.views.waiting());
        app.metrics.pools(&app.store.pools());
        match app.metrics.text() {
            Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
            Err(error) => (axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(web::probes::healthz))
        .route("/readyz", get(web::probes::readyz))
        .with_state(app.clone())
}

async fn write_views(app: Shared) {
    let mut ticks = tokio::time::interval(VIEWS_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        flush_views(&app).await;
    }
}

async fn flush_views(app: &Shared) {
    let views = app.take_views();
    if views.is_empty() {
        return;
    }
    if let Err(error) = app.store.add_views(&views).await {
        app.views.put_back(&views);
        tracing::warn!(posts = views.len(), "views could not be written and wait: {error}");
    }
}

async fn crash(after: Duration) {
    tokio::time::sleep(after).await;
    tracing::error!("crashing, as --fault-crash-after asks");
    std::process::exit(1);
}
