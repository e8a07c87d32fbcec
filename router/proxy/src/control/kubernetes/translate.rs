use super::{
    Parent,
    annotations::{Annotations, Backends},
    cluster::{Cluster, Resolved},
    filters, matches,
    objects::{BackendRef, HttpRoute, Rule, Timeouts},
    proven::Proven,
};
use crate::config::{
    AppProtocol, BackendFilters, BackendSpec, BackendWeight, Duration, EndpointSpec, FilterSpec, Hostname,
    Origin, RawTimeouts, RequestsMax, RouteSpec, RoutesSpec, TimeoutsSpec,
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{ResourceExt, core::DynamicObject};
use split::{MAX_BACKEND_WEIGHT, Track};
use std::sync::Arc;

/// What is in the cluster, as far as it concerns routes.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) routes: Vec<Arc<DynamicObject>>,
    pub(super) services: Vec<Arc<Service>>,
    pub(super) slices: Vec<Arc<EndpointSlice>>,
    pub(super) proven: Proven,
}

/// The routes of the HTTPRoutes that name one of `parents`.
///
/// Never fails: what can't be carried out answers 500, and is told in the route's origin and in the problems.
pub(super) fn translate(objects: &Objects, parents: &[Parent], generation: u64) -> RoutesSpec {
    let cluster = Cluster::new(objects);
    let mut sources: Vec<_> = objects.routes.iter().collect();
    // The Gateway API's order among equals: the older one, then the alphabet, then the order of the rules.
    sources.sort_by_cached_key(|route| (route.metadata.creation_timestamp.clone(), full_name(route)));
    let (mut routes, mut problems) = (Vec::new(), Vec::new());
    for source in sources {
        match http_route(source) {
            Ok(route) if is_ours(&route, source, parents) => {
                match (Translation { source, route: &route, cluster: &cluster }).run() {
                    Ok(translated) => {
                        problems.extend(translated.iter().filter_map(told));
                        routes.extend(translated);
                    }
                    Err(error) => problems.push(format!("HTTPRoute {}: {error}", full_name(source))),
                }
            }
            Ok(_) => {}
            Err(error) => problems.push(format!("HTTPRoute {}: {error}", full_name(source))),
        }
    }
    RoutesSpec { generation, routes, access_log: None, problems }
}

fn told(route: &RouteSpec) -> Option<String> {
    let problem = route.origin.as_ref()?.problem.as_ref()?;
    Some(format!("HTTPRoute {}: {problem}", route.name))
}

fn http_route(source: &DynamicObject) -> Result<HttpRoute, String> {
    let spec = source.data.get("spec").cloned().unwrap_or_default();
    serde_path_to_error::deserialize(spec)
        .map_err(|error| format!("spec.{}: {}", error.path(), error.inner()))
}

fn is_ours(route: &HttpRoute, source: &DynamicObject, parents: &[Parent]) -> bool {
    let namespace = source.namespace().unwrap_or_default();
    let is_ours = |reference| parents.iter().any(|parent| parent.is_named_by(reference, &namespace));
    route.parent_refs.iter().any(is_ours)
}

fn full_name(source: &DynamicObject) -> String {
    format!("{}/{}", source.namespace().unwrap_or_default(), source.name_any())
}

/// One HTTPRoute on its way.
struct Translation<'a> {
    source: &'a DynamicObject,
    route: &'a HttpRoute,
    cluster: &'a Cluster<'a>,
}

/// What a rule needs besides its matches.
#[derive(Default)]
struct Parts {
    filters: Vec<FilterSpec>,
    backends: Vec<BackendSpec>,
    timeouts: TimeoutsSpec,
    problems: Vec<String>,
}

// === impl Translation ===

impl Translation<'_> {
    fn run(&self) -> Result<Vec<RouteSpec>, String> {
        let (hostnames, bad_hosts) = self.hostnames();
        if hostnames.is_empty() && !bad_hosts.is_empty() {
            // Without a host it would take requests of all hosts.
            return Err(format!("{}; the route is left out", bad_hosts.join("; ")));
        }
        let annotations = Annotations::read(self.source.annotations());
        let of_all = [bad_hosts, annotations.problems.clone()].concat();
        let rules = self.route.rules.iter().enumerate();
        let rule = |(index, rule)| self.rule((index, rule), &hostnames, (&annotations, &of_all));
        Ok(rules.map(rule).collect())
    }

    fn rule(
        &self,
        (index, rule): (usize, &Rule),
        hostnames: &[Hostname],
        (annotations, of_all): (&Annotations<'_>, &[String]),
    ) -> RouteSpec {
        let parts = self.parts(rule, annotations);
        let Parts { filters, backends, timeouts, mut problems } = parts.unwrap_or_else(answers_500);
        // A rule that can't be matched as it was meant is left out: it must not take more than it should.
        let matches = matches::matches(&rule.matches).unwrap_or_else(|problem| {
            problems.push(format!("{problem}; the rule is left out"));
            Vec::new()
        });
        problems.extend(of_all.iter().cloned());
        let problem = (!problems.is_empty()).then(|| format!("rules[{index}]: {}", problems.join("; ")));
        RouteSpec {
            name: self.rule_name(index, rule),
            hostnames: hostnames.to_vec(),
            matches,
            filters,
            backends,
            sticky: annotations.sticky.clone(),
            overrides: annotations.overrides.clone(),
            timeouts,
            origin: Some(Origin {
                uid: self.source.uid().unwrap_or_default(),
                generation: self
                    .source
                    .metadata
                    .generation
                    .and_then(|number| number.try_into().ok())
                    .unwrap_or(0),
                problem,
            }),
        }
    }

    /// Unique: object names have no slash, and names of rules are told from positions.
    fn rule_name(&self, index: usize, rule: &Rule) -> String {
        let full = full_name(self.source);
        let is_name = |name: &&String| !name.bytes().all(|byte| byte.is_ascii_digit());
        match (index, rule.name.as_ref().filter(is_name)) {
            (0, _) => full,
            (_, Some(name)) => format!("{full}/{name}"),
            (_, None) => format!("{full}/{index}"),
        }
    }

    fn hostnames(&self) -> (Vec<Hostname>, Vec<String>) {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for hostname in &self.route.hostnames {
            match Hostname::try_from(hostname.clone()) {
                Ok(hostname) => good.push(hostname),
                Err(error) => bad.push(error.to_string()),
            }
        }
        (good, bad)
    }

    fn parts(&self, rule: &Rule, annotations: &Annotations<'_>) -> Result<Parts, String> {
        let namespace = self.source.namespace().unwrap_or_default();
        let (filters, mut problems) = filters::filters(&rule.filters, &namespace, self.cluster)?;
        let timeouts = timeouts(&rule.timeouts)?;
        for (field, value) in [("retry", &rule.retry), ("sessionPersistence", &rule.session_persistence)] {
            if value.is_some() {
                problems.push(format!("{field} is not supported and does nothing"));
            }
        }
        let redirects = filters.iter().any(|filter| matches!(filter, FilterSpec::RequestRedirect(_)));
        if rule.backend_refs.is_empty() && !redirects {
            return Err("backendRefs is empty; the rule answers 500".to_owned());
        }
        let mut backends = Vec::new();
        for (index, reference) in rule.backend_refs.iter().enumerate() {
            let mut backend = self.backend(&namespace, reference, annotations);
            problems.extend(backend.invalid.iter().map(|why| format!("backendRefs[{index}]: {why}")));
            let earlier = rule.backend_refs.iter().take(index).filter(|other| other.name == reference.name);
            match earlier.count() {
                0 => {}
                // The name of a Service has no dot.
                count => backend.name = format!("{}.{}", reference.name, count + 1),
            }
            backends.push(backend);
        }
        Ok(Parts { filters, backends, timeouts, problems })
    }

    fn backend(&self, namespace: &str, reference: &BackendRef, annotations: &Annotations<'_>) -> BackendSpec {
        let BackendRef { name, weight, .. } = reference;
        let weight = weight.unwrap_or(1);
        let usable = || -> Result<_, String> {
            if weight > MAX_BACKEND_WEIGHT {
                return Err(format!("weight {weight} is above {MAX_BACKEND_WEIGHT}"));
            }
            let resolved = self.cluster.resolve(namespace, reference)?;
            Ok((resolved, filters::backend_filters(&reference.filters)?))
        };
        let (resolved, filters, invalid) = match usable() {
            Ok((resolved, filters)) => (resolved, filters, None),
            Err(why) => (Resolved::default(), BackendFilters::default(), Some(why)),
        };
        let Backends { max_requests, queue, slow_start, health } = annotations.backends.clone();
        BackendSpec {
            name: name.clone(),
            track: if annotations.canary == Some(name.as_str()) { Track::Canary } else { Track::Stable },
            weight: BackendWeight(weight.min(MAX_BACKEND_WEIGHT)),
            endpoints: resolved.endpoints.into_iter().map(EndpointSpec::Address).collect(),
            invalid,
            filters,
            app_protocol: resolved.app_protocol,
            max_requests,
            queue,
            slow_start,
            health,
        }
    }
}

/// A rule of which nothing may be done but to say so.
fn answers_500(problem: String) -> Parts {
    let backend = BackendSpec {
        name: "none".to_owned(),
        track: Track::Stable,
        weight: BackendWeight::default(),
        endpoints: Vec::new(),
        invalid: Some(problem.clone()),
        filters: BackendFilters::default(),
        app_protocol: AppProtocol::default(),
        max_requests: RequestsMax::default(),
        queue: None,
        slow_start: None,
        health: None,
    };
    Parts { backends: vec![backend], problems: vec![problem], ..Parts::default() }
}

fn timeouts(raw: &Timeouts) -> Result<TimeoutsSpec, String> {
    let parse = |field: &str, text: &Option<String>| {
        let parsed = text.as_ref().map(|text| text.parse::<Duration>()).transpose();
        parsed.map_err(|error| format!("timeouts.{field}: {error}"))
    };
    let request = parse("request", &raw.request)?;
    let backend_request = parse("backendRequest", &raw.backend_request)?;
    Ok(RawTimeouts { request, backend_request, idle: None }.into())
}

#[cfg(test)]
#[path = "translate_tests.rs"]
mod tests;
