use super::{Age, BackendState, Endpoint, EndpointState, Pending, endpoint::WARM};
use crate::config::{
    self, AppProtocol, BackendFilters, BackendSpec, EndpointAddress, EndpointSpec, HealthSpec, QueueSpec,
};
use rand::{RngExt, rngs::SmallRng};
use split::Track;
use std::{sync::Arc, time::Duration};

/// One compiled backend.
#[derive(Debug)]
pub struct Backend {
    /// Unique in the route.
    pub name: String,
    /// The track that it serves.
    pub track: Track,
    /// As configured.
    pub weight: u32,
    /// Where requests can go.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Changes of headers for this backend only.
    pub filters: BackendFilters,
    /// What the endpoints speak.
    pub protocol: AppProtocol,
    /// Requests at a time at one endpoint.
    pub requests_max: usize,
    /// Requests that may wait for room, and how long.
    pub queue: Option<QueueSpec>,
    /// How long a new endpoint takes to its full share.
    slow_start: Option<Duration>,
    /// How endpoints are checked.
    pub health: Option<HealthSpec>,
    /// It can't be used: its share is answered with 500.
    pub is_invalid: bool,
    /// What outlives the table.
    pub state: Arc<BackendState>,
}

/// Why no endpoint gets a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPicked {
    /// There is none, or none that was not tried.
    NoEndpoint,
    /// Those that it could go to have as many requests as they may.
    Full,
}

// === impl Backend ===

impl Backend {
    pub(super) fn build(spec: &BackendSpec, previous: Option<&Self>) -> Self {
        let age = if previous.is_some() { Age::New } else { Age::Old };
        let endpoint = |address| {
            let old = previous.and_then(|old| old.endpoints.iter().find(|old| old.address == address));
            old.map_or_else(|| Arc::new(Endpoint::new(address, age)), Arc::clone)
        };
        let mut addresses: Vec<_> = Vec::new();
        for EndpointAddress(address) in spec.endpoints.iter().flat_map(EndpointSpec::addresses) {
            // Two names may stand for the same replica.
            if !addresses.contains(address) {
                addresses.push(*address);
            }
        }
        Self {
            name: spec.name.clone(),
            track: spec.track,
            weight: spec.weight.0,
            endpoints: addresses.into_iter().map(endpoint).collect(),
            filters: spec.filters.clone(),
            protocol: spec.app_protocol,
            requests_max: usize::try_from(spec.max_requests.0.get()).unwrap_or(usize::MAX),
            queue: spec.queue,
            slow_start: spec.slow_start.map(config::Duration::get).filter(|&time| time > Duration::ZERO),
            health: spec.health.clone(),
            is_invalid: spec.invalid.is_some(),
            state: previous.map_or_else(Arc::default, |old| Arc::clone(&old.state)),
        }
    }

    /// Begins a request at an endpoint that has room, `tried` ones left out.
    ///
    /// # Errors
    /// When there is none.
    pub fn pick(&self, rng: &mut SmallRng, tried: &[u64]) -> Result<Pending, NotPicked> {
        loop {
            let endpoint = self.with_room(rng, tried)?;
            // Another worker may have taken the last room meanwhile.
            if let Some(pending) = Arc::clone(endpoint).begin_below(self.requests_max) {
                return Ok(pending);
            }
        }
    }

    /// The less loaded of two random endpoints (power of two choices, Mitzenmacher 2001). Ejected and unhealthy ones
    /// come into question only when no other is left; when the others are full they are not: they would get more than
    /// when they were well.
    fn with_room(&self, rng: &mut SmallRng, tried: &[u64]) -> Result<&Arc<Endpoint>, NotPicked> {
        let untried = |endpoint: &&Arc<Endpoint>| !tried.contains(&endpoint.id) && !self.is_invalid;
        let ready = |endpoint: &&Arc<Endpoint>| untried(endpoint) && endpoint.state() == EndpointState::Ready;
        let has_room = |endpoint: &&Arc<Endpoint>| endpoint.pending() < self.requests_max;
        let mut all = self.endpoints.iter();
        let chosen = match self.endpoints.as_slice() {
            [only] => Some(only).filter(untried).filter(has_room),
            _ => two_choices(all.clone().filter(ready).filter(has_room), rng),
        };
        let Some(chosen) = chosen else {
            if all.clone().any(|endpoint| ready(&endpoint)) {
                return Err(NotPicked::Full);
            }
            let any = all.any(|endpoint| untried(&endpoint));
            let unwell = two_choices(self.endpoints.iter().filter(untried).filter(has_room), rng);
            return unwell.ok_or(if any { NotPicked::Full } else { NotPicked::NoEndpoint });
        };
        let Some(slow_start) = self.slow_start else { return Ok(chosen) };
        let warmth = chosen.warmth(slow_start);
        if warmth == WARM || rng.random_range(0..WARM) < warmth {
            return Ok(chosen);
        }
        let is_warm = |endpoint: &&Arc<Endpoint>| endpoint.warmth(slow_start) == WARM;
        let warm = self.endpoints.iter().filter(ready).filter(has_room).filter(is_warm);
        Ok(two_choices(warm, rng).unwrap_or(chosen))
    }
}

fn two_choices<'a>(
    mut candidates: impl Iterator<Item = &'a Arc<Endpoint>> + Clone,
    rng: &mut SmallRng,
) -> Option<&'a Arc<Endpoint>> {
    let count = candidates.clone().count();
    if count < 2 {
        return candidates.next();
    }
    let first = rng.random_range(0..count);
    // The second choice is never the first: a number among the others, those from the first on moved up by one.
    let second = rng.random_range(0..count - 1);
    let second = second + usize::from(second >= first);
    let (first, second) = (candidates.clone().nth(first)?, candidates.nth(second)?);
    // In random order, so that equals share alike.
    Some(if first.pending() <= second.pending() { first } else { second })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::from_yaml, metrics::Metrics, routes::Table};
    use rand::SeedableRng;
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        thread,
    };

    fn table(endpoints: &str, fields: &str) -> Table {
        let yaml = format!(
            "routes: [{{name: r, backends: [{{name: b, track: stable, endpoints: [{endpoints}], {fields}}}]}}]"
        );
        let spec = from_yaml("test", &yaml).unwrap();
        Table::build(spec, &Table::default(), &Metrics::new().unwrap()).unwrap()
    }

    fn three_endpoints(fields: &str) -> Table {
        table("'127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'", fields)
    }

    fn port(picked: &Result<Pending, NotPicked>) -> Result<u16, NotPicked> {
        picked.as_ref().map(|pending| pending.endpoint().address.port()).map_err(|&why| why)
    }

    #[test]
    fn the_least_loaded_of_two_is_picked_and_the_busiest_never() {
        let table = three_endpoints("");
        let backend = &table.routes[0].backends[0];
        let _busy = (0..5).map(|_| Arc::clone(&backend.endpoints[1]).begin_below(9)).collect::<Vec<_>>();
        let mut rng = SmallRng::seed_from_u64(1);
        let picked: Vec<_> = (0..200).map(|_| port(&backend.pick(&mut rng, &[])).unwrap()).collect();
        assert!(picked.contains(&1) && picked.contains(&3) && !picked.contains(&2));
    }

    #[test]
    fn ejected_and_tried_endpoints_are_passed_over_while_another_is_left() {
        let table = three_endpoints("");
        let backend = &table.routes[0].backends[0];
        let mut rng = SmallRng::seed_from_u64(1);
        backend.endpoints[0].failed();
        assert_eq!(backend.endpoints[0].state(), EndpointState::Ejected);
        let tried = [backend.endpoints[1].id];
        assert_eq!(port(&backend.pick(&mut rng, &tried)), Ok(3));
        backend.endpoints[2].failed();
        assert!(backend.pick(&mut rng, &tried).is_ok(), "an ejected endpoint is better than none");
        backend.endpoints[0].succeeded();
        assert_eq!(port(&backend.pick(&mut rng, &tried)), Ok(1));
        let all: Vec<_> = backend.endpoints.iter().map(|endpoint| endpoint.id).collect();
        assert_eq!(port(&backend.pick(&mut rng, &all)), Err(NotPicked::NoEndpoint));
    }

    #[test]
    fn ejected_endpoints_do_not_get_what_the_others_have_no_room_for() {
        let table = three_endpoints("maxRequests: 1");
        let backend = &table.routes[0].backends[0];
        let mut rng = SmallRng::seed_from_u64(1);
        backend.endpoints[0].failed();
        let busy = [backend.pick(&mut rng, &[]), backend.pick(&mut rng, &[])];
        assert!(busy.iter().all(|picked| port(picked).unwrap() != 1));
        assert_eq!(port(&backend.pick(&mut rng, &[])), Err(NotPicked::Full));
        backend.endpoints[1..].iter().for_each(|endpoint| endpoint.failed());
        let last = backend.pick(&mut rng, &[]);
        assert_eq!(port(&last), Ok(1), "all are ejected, so all are used");
        assert_eq!(port(&backend.pick(&mut rng, &[])), Err(NotPicked::Full));
    }

    #[test]
    fn a_full_endpoint_is_full_and_not_missing_while_it_is_ejected() {
        let table = table("'127.0.0.1:1'", "maxRequests: 1");
        let backend = &table.routes[0].backends[0];
        let mut rng = SmallRng::seed_from_u64(1);
        let only = backend.pick(&mut rng, &[]);
        only.as_ref().unwrap().endpoint().failed();
        assert_eq!(port(&backend.pick(&mut rng, &[])), Err(NotPicked::Full));
        assert_eq!(port(&backend.pick(&mut rng, &[backend.endpoints[0].id])), Err(NotPicked::NoEndpoint));
    }

    #[test]
    fn no_endpoint_gets_more_than_its_limit_whoever_picks() {
        let table = three_endpoints("maxRequests: 1");
        let backend = &table.routes[0].backends[0];
        let most = AtomicUsize::new(0);
        thread::scope(|scope| {
            for seed in 0..4 {
                let most = &most;
                scope.spawn(move || {
                    let mut rng = SmallRng::seed_from_u64(seed);
                    for _ in 0..20_000 {
                        if let Ok(pending) = backend.pick(&mut rng, &[]) {
                            most.fetch_max(pending.endpoint().pending(), SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
        assert!(backend.endpoints.iter().all(|endpoint| endpoint.pending() == 0));
    }
}
