use super::{Age, BackendState, Endpoint, EndpointState, Filters, Matcher, RouteState, Target};
use crate::{
    config::{
        self, AppProtocol, BackendFilters, BackendSpec, EndpointAddress, EndpointSpec, HealthSpec,
        IssuedCookie, OverrideSpec, QueueSpec, RouteSpec, RoutesSpec, StickySpec, TimeoutsSpec,
    },
    message::Fields,
    metrics::Metrics,
};
use rand::{RngExt, rngs::SmallRng};
use split::{BackendWeight, Choice, Hints, Override, Shares, SharesError, Split, Track};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// All routes at one generation. Never changed, only replaced.
#[derive(Debug, Default)]
pub struct Table {
    /// The writer's number.
    pub generation: u64,
    /// In the order of the configuration.
    pub routes: Vec<Arc<Route>>,
}

/// One compiled route.
#[derive(Debug)]
pub struct Route {
    /// As configured.
    pub spec: RouteSpec,
    /// The generation that last wrote this route.
    pub generation: u64,
    /// In the order of the configuration; positions are those of [`Choice::backend`].
    pub backends: Vec<Backend>,
    /// What outlives the table.
    pub state: Arc<RouteState>,
    /// What is done to requests and answers.
    pub filters: Filters,
    /// Which requests it takes.
    pub matcher: Matcher,
    timeouts: TimeoutsSpec,
    shares: Shares,
    /// The shares without the canary, where stable could take all: used while tripped.
    shares_tripped: Option<Shares>,
}

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

/// What the split may look at.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The lines of the request.
    pub fields: &'a Fields,
    /// Where the connection comes from.
    pub address: IpAddr,
    /// The sticky key that it gets with this answer.
    pub issued: Option<&'a str>,
}

// === impl Table ===

impl Table {
    /// Compiles `spec`; what has the same name in `previous` keeps its state.
    ///
    /// # Errors
    /// Weights that the split refuses; the spec's own types leave none.
    pub fn build(spec: RoutesSpec, previous: &Self, metrics: &Metrics) -> Result<Self, SharesError> {
        let RoutesSpec { generation, routes, access_log: _, problems: _ } = spec;
        let build = |route: RouteSpec| {
            let previous = previous.routes.iter().find(|old| old.spec.name == route.name);
            let generation = route.origin.as_ref().map_or(generation, |origin| origin.generation);
            match previous {
                Some(old) if old.spec == route && old.generation == generation => Ok(Arc::clone(old)),
                _ => Route::build(route, generation, previous, metrics).map(Arc::new),
            }
        };
        Ok(Self { generation, routes: routes.into_iter().map(build).collect::<Result<_, _>>()? })
    }

    /// The same routes in the same order at the same generations, with other endpoints.
    ///
    /// # Errors
    /// Like [`Self::build`].
    pub fn with_specs(&self, specs: Vec<RouteSpec>, metrics: &Metrics) -> Result<Self, SharesError> {
        let build = |(old, spec): (&Arc<Route>, RouteSpec)| {
            if old.spec == spec {
                return Ok(Arc::clone(old));
            }
            Route::build(spec, old.generation, Some(old), metrics).map(Arc::new)
        };
        let routes = self.routes.iter().zip(specs).map(build).collect::<Result<_, _>>()?;
        Ok(Self { generation: self.generation, routes })
    }

    /// The most specific route for a request; the first one among equals.
    #[must_use]
    pub fn find(&self, target: &Target<'_>) -> Option<&Arc<Route>> {
        // `OPTIONS *` asks about the server as a whole.
        let path = if target.path == "*" { "/" } else { target.path };
        let target = Target { path, ..*target };
        if let [only] = self.routes.as_slice() {
            return only.matcher.fit(&target).map(|_| only);
        }
        let fitting = self.routes.iter().filter_map(|route| Some((route.matcher.fit(&target)?, route)));
        // `max_by_key` takes the last among equals, so the order is turned.
        fitting.rev().max_by_key(|&(fit, _)| fit).map(|(_, route)| route)
    }

    /// The route of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| route.spec.name == name)
    }

    /// All endpoints of all routes.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.routes.iter().flat_map(|route| &route.backends).flat_map(|backend| &backend.endpoints)
    }
}

// === impl Route ===

impl Route {
    pub(crate) fn build(
        spec: RouteSpec,
        generation: u64,
        previous: Option<&Arc<Self>>,
        metrics: &Metrics,
    ) -> Result<Self, SharesError> {
        let weights = |weight: fn(&BackendSpec) -> u32| -> Vec<_> {
            spec.backends.iter().map(|b| BackendWeight { track: b.track, weight: weight(b) }).collect()
        };
        let shares = Shares::new(&weights(|backend| backend.weight.0))?;
        // At 100 % canary stable has no weight of its own; then its backends share alike.
        let shares_tripped = Shares::new(&weights(match shares.total_of(Track::Stable) {
            0 => |backend| u32::from(backend.track == Track::Stable),
            _ => |backend| if backend.track == Track::Stable { backend.weight.0 } else { 0 },
        }))?;
        let state = previous.map(|old| Arc::clone(&old.state));
        let state = state.unwrap_or_else(|| Arc::new(RouteState::new(metrics.tracks(&spec.name))));
        let of_old = |name: &str| previous?.backends.iter().find(|old| old.name == name);
        let backends: Vec<_> = spec.backends.iter().map(|b| Backend::build(b, of_old(&b.name))).collect();
        let (matcher, filters) = (Matcher::new(&spec), Filters::new(&spec.filters));
        let shares_tripped = Some(shares_tripped).filter(|tripped| tripped.total() > 0);
        let timeouts = spec.timeouts.in_force();
        Ok(Self { spec, generation, backends, state, filters, matcher, timeouts, shares, shares_tripped })
    }

    /// Where the split sends a request.
    pub fn choose(&self, client: Client<'_>) -> Option<Choice> {
        self.choose_by(&self.state.split, client)
    }

    /// The sticky key for a client that is to get one: the route sets a cookie, and the client has none of this
    /// release.
    pub fn issue(&self, client: Client<'_>, random: impl FnOnce() -> u64) -> Option<(&IssuedCookie, String)> {
        match &self.spec.sticky {
            Some(StickySpec::Issued(cookie)) if client.of_release(cookie).is_none() => {
                Some((cookie, cookie.value(random())))
            }
            _ => None,
        }
    }

    /// Where it would send one; where the weights decide, another one may go elsewhere. No sequence moves.
    #[must_use]
    pub fn would_choose(&self, client: Client<'_>) -> Option<Choice> {
        self.choose_by(&Split::new(0), client)
    }

    /// The share of a backend of this route among the requests that the weights decide about, 0 to 1.
    #[must_use]
    pub fn share_of(&self, backend: &Backend) -> f64 {
        let is_out = backend.track == Track::Canary && self.state.trip.is_tripped();
        let weight = if is_out { 0 } else { backend.weight };
        let total: u64 = if is_out { 0 } else { self.shares_now().total() };
        if total == 0 { 0.0 } else { f64::from(weight) / total as f64 }
    }

    fn choose_by(&self, split: &Split, client: Client<'_>) -> Option<Choice> {
        let address;
        let OverrideSpec { header, cookie } = self.spec.overrides.as_ref().unwrap_or(&NO_OVERRIDE);
        let key = match &self.spec.sticky {
            None => None,
            Some(StickySpec::Header(name)) => client.fields.get(name.get().as_str()),
            Some(StickySpec::Cookie(name)) => client.cookie(name),
            Some(StickySpec::Issued(cookie)) => {
                client.of_release(cookie).or(client.issued.map(str::as_bytes))
            }
            Some(StickySpec::Address) => {
                address = client.address.to_string();
                Some(address.as_bytes())
            }
        };
        let hints = Hints {
            header: header
                .as_ref()
                .and_then(|name| Override::from_bytes(client.fields.get(name.get().as_str())?)),
            cookie: cookie.as_ref().and_then(|name| Override::from_bytes(client.cookie(name)?)),
            key,
        };
        split.choose(self.shares_now(), &self.spec.name, hints)
    }

    /// Another backend of `track`, by weight: where a failed request goes next.
    #[must_use]
    pub fn other(&self, track: Track) -> Option<usize> {
        self.state.split.within(self.shares_now(), track)
    }

    /// Whether any backend changes requests in its own way.
    #[must_use]
    pub fn has_backend_edits(&self) -> bool {
        self.backends.iter().any(|backend| !backend.filters.request_header_modifier.is_empty())
    }

    /// How long answers may take.
    #[must_use]
    pub const fn timeouts(&self) -> TimeoutsSpec {
        self.timeouts
    }

    /// The sum of the weights of a track.
    #[must_use]
    pub const fn weight_of(&self, track: Track) -> u64 {
        self.shares.total_of(track)
    }

    fn shares_now(&self) -> &Shares {
        match &self.shares_tripped {
            Some(tripped) if self.state.trip.is_tripped() && self.stable_has_endpoints() => tripped,
            _ => &self.shares,
        }
    }

    fn stable_has_endpoints(&self) -> bool {
        self.backends.iter().any(|backend| backend.track == Track::Stable && !backend.endpoints.is_empty())
    }
}

static NO_OVERRIDE: OverrideSpec = OverrideSpec { header: None, cookie: None };

// === impl Backend ===

impl Backend {
    fn build(spec: &BackendSpec, previous: Option<&Self>) -> Self {
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

    /// The less loaded of two random endpoints (power of two choices, Mitzenmacher 2001), `tried` ones left out.
    /// Ejected ones come into question only when no other is left.
    #[must_use]
    pub fn pick(&self, rng: &mut SmallRng, tried: &[u64]) -> Option<&Arc<Endpoint>> {
        let untried = |endpoint: &&Arc<Endpoint>| {
            !tried.contains(&endpoint.id) && endpoint.pending() < self.requests_max && !self.is_invalid
        };
        if let [only] = self.endpoints.as_slice() {
            return Some(only).filter(untried);
        }
        let ready = |endpoint: &&Arc<Endpoint>| untried(endpoint) && endpoint.state() == EndpointState::Ready;
        let chosen = two_choices(self.endpoints.iter().filter(ready), rng)
            .or_else(|| two_choices(self.endpoints.iter().filter(untried), rng))?;
        match self.slow_start {
            Some(slow_start) if rng.random_range(0..1_000) >= chosen.warmth(slow_start) => {
                let warm =
                    |endpoint: &&Arc<Endpoint>| ready(endpoint) && endpoint.warmth(slow_start) == 1_000;
                two_choices(self.endpoints.iter().filter(warm), rng).or(Some(chosen))
            }
            _ => Some(chosen),
        }
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

// === impl Client ===

impl<'a> Client<'a> {
    fn of_release(&self, cookie: &IssuedCookie) -> Option<&'a [u8]> {
        self.cookie(&cookie.name).filter(|value| cookie.holds(value))
    }

    fn cookie(&self, name: &str) -> Option<&'a [u8]> {
        let pairs = self.fields.get_all("cookie").flat_map(|line| line.split(|&byte| byte == b';'));
        pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_yaml;
    use rand::SeedableRng;

    fn table(yaml: &str, previous: &Table) -> Table {
        Table::build(from_yaml("test", yaml).unwrap(), previous, &Metrics::new().unwrap()).unwrap()
    }

    fn three_endpoints() -> Table {
        table(
            "routes: [{name: r, backends: [{name: b, track: stable, endpoints: \
             ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3']}]}]",
            &Table::default(),
        )
    }

    #[test]
    fn the_least_loaded_of_two_is_picked_and_the_busiest_never() {
        let table = three_endpoints();
        let backend = &table.routes[0].backends[0];
        let _busy = (0..5).map(|_| Arc::clone(&backend.endpoints[1]).begin()).collect::<Vec<_>>();
        let mut rng = SmallRng::seed_from_u64(1);
        let picked: Vec<_> = (0..200).map(|_| backend.pick(&mut rng, &[]).unwrap().address.port()).collect();
        assert!(picked.contains(&1) && picked.contains(&3) && !picked.contains(&2));
    }

    #[test]
    fn ejected_and_tried_endpoints_are_passed_over_while_another_is_left() {
        let table = three_endpoints();
        let backend = &table.routes[0].backends[0];
        let mut rng = SmallRng::seed_from_u64(1);
        backend.endpoints[0].failed();
        assert_eq!(backend.endpoints[0].state(), EndpointState::Ejected);
        let tried = [backend.endpoints[1].id];
        assert_eq!(backend.pick(&mut rng, &tried).unwrap().address.port(), 3);
        backend.endpoints[2].failed();
        assert!(backend.pick(&mut rng, &tried).is_some(), "an ejected endpoint is better than none");
        backend.endpoints[0].succeeded();
        assert_eq!(backend.pick(&mut rng, &tried).unwrap().address.port(), 1);
    }

    #[test]
    fn state_outlives_a_table_by_name_and_address() {
        let old = three_endpoints();
        let new = table(
            "{generation: 2, routes: [{name: r, backends: [{name: b, track: stable, endpoints: \
             ['127.0.0.1:9', '127.0.0.1:2']}]}]}",
            &old,
        );
        assert!(Arc::ptr_eq(&old.routes[0].state, &new.routes[0].state));
        assert!(Arc::ptr_eq(
            &old.routes[0].backends[0].endpoints[1],
            &new.routes[0].backends[0].endpoints[1]
        ));
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut fields = Fields::default();
        fields.append("cookie", b"xcanary=never; canary=always; a=b");
        let client = Client { fields: &fields, address: [127, 0, 0, 1].into(), issued: None };
        assert_eq!(client.cookie("canary"), Some(&b"always"[..]));
        assert_eq!(client.cookie("a"), Some(&b"b"[..]));
        assert_eq!(client.cookie("b"), None);
    }
}
