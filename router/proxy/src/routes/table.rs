use super::{Backend, Endpoint, Filters, Matcher, RouteState, Target};
use crate::{
    config::{BackendSpec, IssuedCookie, OverrideSpec, RouteSpec, RoutesSpec, StickySpec, TimeoutsSpec},
    message::Fields,
    metrics::Metrics,
};
use split::{BackendWeight, Choice, Hints, Override, Shares, SharesError, Split, Track};
use std::{net::IpAddr, sync::Arc};

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
        let weight = match (self.is_canary_out(), backend.track) {
            (true, Track::Canary) => 0,
            // As in `shares_tripped`: without weights of their own they share alike.
            (true, Track::Stable) if self.shares.total_of(Track::Stable) == 0 => 1,
            _ => backend.weight,
        };
        let total = self.shares_now().total();
        if total == 0 { 0.0 } else { f64::from(weight) / total as f64 }
    }

    /// Whether the canary is tripped, and stable takes its share.
    #[must_use]
    pub fn is_canary_out(&self) -> bool {
        self.state.trip.is_tripped() && self.shares_tripped.is_some() && self.stable_has_endpoints()
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

    /// The backends of `track` where a failed request may go next: first one that is drawn by weight, then those
    /// that were not. One of weight zero is none of them, unless the track has no other.
    pub fn others(&self, track: Track) -> impl Iterator<Item = usize> {
        let drawn = self.state.split.within(self.shares_now(), track);
        let has_weights = self.shares.total_of(track) > 0;
        let may_be_asked =
            move |backend: &Backend| backend.track == track && (backend.weight > 0 || !has_weights);
        let rest = self.backends.iter().enumerate().filter(move |(_, backend)| may_be_asked(backend));
        drawn.into_iter().chain(rest.map(|(index, _)| index).filter(move |&index| drawn != Some(index)))
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
            Some(tripped) if self.is_canary_out() => tripped,
            _ => &self.shares,
        }
    }

    fn stable_has_endpoints(&self) -> bool {
        self.backends.iter().any(|backend| backend.track == Track::Stable && !backend.endpoints.is_empty())
    }
}

static NO_OVERRIDE: OverrideSpec = OverrideSpec { header: None, cookie: None };

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
    fn shares_are_those_in_force_while_the_canary_is_tripped() {
        let yaml = |stable: u32, canary: u32, endpoints: &str| {
            format!(
                "routes: [{{name: r, backends: [\
                 {{name: s, track: stable, weight: {stable}, endpoints: [{endpoints}]}}, \
                 {{name: c, track: canary, weight: {canary}, endpoints: ['127.0.0.1:2']}}]}}]"
            )
        };
        for (stable, canary, endpoints, shares) in [
            (0, 100, "'127.0.0.1:1'", [1.0, 0.0]),
            (50, 50, "'127.0.0.1:1'", [1.0, 0.0]),
            (50, 50, "", [0.5, 0.5]),
        ] {
            let table = table(&yaml(stable, canary, endpoints), &Table::default());
            let route = &table.routes[0];
            for _ in 0..10 {
                route.state.trip.note(Track::Canary, Err(()));
            }
            assert!(route.state.trip.is_tripped());
            let told = [&route.backends[0], &route.backends[1]].map(|backend| route.share_of(backend));
            assert_eq!(told, shares, "{stable}, {canary}, {endpoints:?}");
            assert_eq!(route.is_canary_out(), !endpoints.is_empty());
        }
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
