//! What the routers say that they do.

use crate::http::Client;
use crate::routers::{Admin, RouteState, RouterState, ask};
use release::{Route, Routing, Trip};
use split::Track;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time;

/// How long a router may take to answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The pause between two questions while something is waited for, and otherwise.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_millis(500);

/// The last answer of each router, by its admin address; none before the first question was answered.
pub(super) type Reports = BTreeMap<String, Report>;

/// What is known of one router.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// The last answer that came.
    pub(super) state: Option<RouterState>,
    /// Why the last question was not answered, if it was not.
    pub(super) problem: Option<String>,
}

/// How often the routers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    /// Something waits for their answer.
    Close,
    /// Nothing does.
    Loose,
}

/// What the routers should do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) admins: &'a [Admin],
    pub(super) generation: u64,
    pub(super) written: Option<&'a Route>,
}

/// Asks one router again and again until nobody listens any more.
pub(super) async fn poll(
    admin: Admin,
    reports: watch::Sender<Reports>,
    mut attention: watch::Receiver<Attention>,
) {
    let client = Client::new(TIMEOUT);
    while !reports.is_closed() {
        let answer = ask(&client, &admin).await;
        reports.send_modify(|reports| {
            let report = reports.entry(admin.as_str().to_owned()).or_default();
            match answer {
                Ok(state) => *report = Report { state: Some(state), problem: None },
                Err(problem) => report.problem = Some(problem),
            }
        });
        let pause = match *attention.borrow_and_update() {
            Attention::Close => SOON,
            Attention::Loose => LATER,
        };
        tokio::select! {
            () = time::sleep(pause) => {}
            changed = attention.changed() => if changed.is_err() { return },
        }
    }
}

/// What all routers together do.
pub(super) fn routing(reports: &Reports, wanted: Wanted<'_>) -> Routing {
    let mut routing = Routing {
        written: wanted.written.cloned(),
        routers: u32::try_from(wanted.admins.len()).unwrap_or(u32::MAX),
        ..Routing::default()
    };
    for admin in wanted.admins {
        let report = reports.get(admin.as_str());
        if let Some(why) = lag(report, wanted) {
            routing.pending.push(format!("{} ({why})", admin.as_str()));
        }
        let Some(state) = report.and_then(|report| report.state.as_ref()) else { continue };
        let Some(route) = state.routes.iter().find(|route| route.name == wanted.name) else { continue };
        routing.stable_in_flight += route.in_flight(Track::Stable);
        routing.canary_in_flight += route.in_flight(Track::Canary);
        // A trip that belongs to an older file may be about another candidate.
        if let Some(trip) = route.tripped.as_ref().filter(|_| state.generation >= wanted.generation) {
            let router = admin.as_str().to_owned();
            routing.tripped = Some(Trip { router, failed: trip.failed, of: trip.of });
        }
    }
    routing
}

/// The generation that every router is known to have taken over; 0 where one is not known.
pub(super) fn acknowledged(reports: &Reports, admins: &[Admin]) -> u64 {
    let generations = admins.iter().map(|admin| {
        let report = reports.get(admin.as_str()).filter(|report| report.problem.is_none());
        report.and_then(|report| report.state.as_ref()).map_or(0, |state| state.generation)
    });
    generations.min().unwrap_or(0)
}

/// Why a router is not known to do what is written, if so.
fn lag(report: Option<&Report>, wanted: Wanted<'_>) -> Option<String> {
    let Some(report) = report else { return Some("not asked yet".to_owned()) };
    if let Some(problem) = &report.problem {
        return Some(problem.clone());
    }
    let state = report.state.as_ref()?;
    if state.generation < wanted.generation {
        return Some(match &state.last_error {
            Some(error) => format!("refused: {error}"),
            None => format!("at generation {} of {}", state.generation, wanted.generation),
        });
    }
    let Some(written) = wanted.written else { return Some("nothing is written yet".to_owned()) };
    let Some(route) = state.routes.iter().find(|route| route.name == wanted.name) else {
        return Some(format!("has no route `{}`", wanted.name));
    };
    deviation(route, written)
}

/// What somebody has set in a router by hand, if so: it has read the file, and does something else.
pub(super) fn drift(reports: &Reports, wanted: Wanted<'_>) -> Option<String> {
    let written = wanted.written?;
    wanted.admins.iter().find_map(|admin| {
        let report = reports.get(admin.as_str()).filter(|report| report.problem.is_none())?;
        let state = report.state.as_ref().filter(|state| state.generation >= wanted.generation)?;
        let route = state.routes.iter().find(|route| route.name == wanted.name)?;
        Some(format!("{} {}", admin.as_str(), deviation(route, written)?))
    })
}

/// In what a router deviates from what is written.
fn deviation(route: &RouteState, written: &Route) -> Option<String> {
    let sum: u64 = route.backends.iter().map(|backend| backend.weight).sum();
    let canary = route.of(Track::Canary).map(|backend| backend.weight).sum::<u64>() * 10_000;
    let wanted = u64::from(written.weight.basis_points());
    match canary.checked_div(sum) {
        Some(share) if share == wanted => None,
        Some(share) => {
            Some(format!("gives the candidate {share} of 10000 requests, not {wanted}: set by hand?"))
        }
        None => Some("has weights of 0 only: set by hand?".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use release::Revision;
    use split::Weight;

    fn admins() -> Vec<Admin> {
        serde_json::from_str(r#"["http://127.0.0.1:1", "http://127.0.0.1:2"]"#).unwrap()
    }

    fn route() -> Route {
        let weight = Weight::from_basis_points(500).unwrap();
        Route { stable: Revision::new("a"), canary: Some(Revision::new("b")), weight }
    }

    fn state(generation: u64, canary: u64) -> Report {
        let json = serde_json::json!({
            "instance": "x", "generation": generation, "lastError": null,
            "routes": [{"name": "blog", "generation": generation, "tripped": null, "backends": [
                {"name": "s", "track": "stable", "weight": 10_000 - canary, "inFlight": 2, "endpoints": []},
                {"name": "c", "track": "canary", "weight": canary, "inFlight": 1, "endpoints": []},
            ]}],
        });
        Report { state: Some(serde_json::from_value(json).unwrap()), problem: None }
    }

    fn look(one: Option<Report>, two: Option<Report>) -> Routing {
        let reports = [("http://127.0.0.1:1", one), ("http://127.0.0.1:2", two)];
        let reports =
            reports.into_iter().filter_map(|(name, report)| Some((name.to_owned(), report?))).collect();
        let (admins, route) = (admins(), route());
        routing(&reports, Wanted { name: "blog", admins: &admins, generation: 7, written: Some(&route) })
    }

    #[test]
    fn a_weight_is_acknowledged_when_every_router_uses_it() {
        let seen = look(Some(state(7, 500)), Some(state(8, 500)));
        assert!(seen.acknowledges(&route()), "{:?}", seen.pending);
        assert_eq!((seen.stable_in_flight, seen.canary_in_flight), (4, 2));
    }

    #[test]
    fn a_router_that_does_not_know_the_route_is_named_with_it() {
        let json = serde_json::json!({"instance": "x", "generation": 7, "lastError": null, "routes": []});
        let other = Report { state: Some(serde_json::from_value(json).unwrap()), problem: None };
        let seen = look(Some(state(7, 500)), Some(other));
        assert_eq!(seen.pending, ["http://127.0.0.1:2 (has no route `blog`)"]);
    }

    #[test]
    fn a_weight_set_by_hand_is_drift_and_one_that_is_not_read_yet_is_none() {
        let (admins, route) = (admins(), route());
        let wanted = Wanted { name: "blog", admins: &admins, generation: 7, written: Some(&route) };
        let drift_of = |report: Report| {
            drift(&[("http://127.0.0.1:2".to_owned(), report)].into_iter().collect(), wanted)
        };
        assert_eq!(drift_of(state(7, 500)), None);
        assert_eq!(drift_of(state(6, 900)), None, "it has not read the file yet");
        let told = drift_of(state(7, 900)).unwrap();
        assert!(told.starts_with("http://127.0.0.1:2 gives the candidate 900 of 10000"), "{told}");
    }

    #[test]
    fn a_router_that_lags_is_named_with_its_reason() {
        let dead = Report { problem: Some("connection refused".to_owned()), ..state(7, 500) };
        for (report, why) in [
            (None, "(not asked yet)"),
            (Some(state(6, 500)), "(at generation 6 of 7)"),
            (Some(dead), "(connection refused)"),
            (Some(state(7, 900)), "gives the candidate 900 of 10000 requests, not 500"),
        ] {
            let seen = look(Some(state(7, 500)), report);
            assert_eq!(seen.pending.len(), 1, "{:?}", seen.pending);
            assert!(seen.pending[0].starts_with("http://127.0.0.1:2 ("), "{:?}", seen.pending);
            assert!(seen.pending[0].contains(why), "{:?}", seen.pending);
        }
    }
}
