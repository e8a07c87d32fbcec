use super::{
    objects::BackendRef,
    proven::{Proven, is_ending, is_ready},
    translate::Objects,
};
use crate::config::{AppProtocol, EndpointAddress};
use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::{Endpoint, EndpointSlice},
};
use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

/// Services and their endpoints, by namespace and name.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    services: HashMap<(&'a str, &'a str), &'a Service>,
    slices: HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
    proven: &'a Proven,
}

/// Where the requests for a backend go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Sorted, so that the order of the API server's answers changes nothing.
    pub(super) endpoints: Vec<EndpointAddress>,
    pub(super) app_protocol: AppProtocol,
}

const SERVICE_NAME: &str = "kubernetes.io/service-name";

// === impl Cluster ===

impl<'a> Cluster<'a> {
    pub(super) fn new(objects: &'a Objects) -> Self {
        let mut cluster = Self { services: HashMap::new(), slices: HashMap::new(), proven: &objects.proven };
        for service in &objects.services {
            let key = (service.metadata.namespace.as_deref(), service.metadata.name.as_deref());
            if let (Some(namespace), Some(name)) = key {
                cluster.services.insert((namespace, name), service);
            }
        }
        for slice in &objects.slices {
            let labels = slice.metadata.labels.as_ref();
            let service = labels.and_then(|labels| labels.get(SERVICE_NAME));
            if let (Some(namespace), Some(service)) = (slice.metadata.namespace.as_deref(), service) {
                cluster.slices.entry((namespace, service)).or_default().push(slice);
            }
        }
        cluster
    }

    /// The endpoints that a reference in a route of `namespace` leads to, or why it leads nowhere.
    pub(super) fn resolve(&self, namespace: &str, backend: &BackendRef) -> Result<Resolved, String> {
        let BackendRef { group, kind, namespace: other, name, port, .. } = backend;
        let (group, kind) = (group.as_deref().unwrap_or_default(), kind.as_deref().unwrap_or("Service"));
        if (group, kind) != ("", "Service") {
            return Err(format!("{kind} {name} is no Service; name a Service"));
        }
        if let Some(other) = other.as_deref().filter(|other| *other != namespace) {
            return Err(format!("Service {other}/{name} is in another namespace; route from there"));
        }
        let Some(service) = self.services.get(&(namespace, name.as_str())) else {
            return Err(format!("there is no Service {name} in namespace {namespace}"));
        };
        let spec = service.spec.as_ref();
        if spec.is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName")) {
            return Err(format!("Service {name} is an ExternalName, which has no endpoints"));
        }
        let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
        let Some(port) = port.and_then(|port| ports.iter().find(|known| known.port == port)) else {
            let known: Vec<_> = ports.iter().map(|known| known.port.to_string()).collect();
            let asked = port.map_or_else(|| "no port".to_owned(), |port| format!("port {port}"));
            return Err(format!("{asked} of Service {name}; it has {}", known.join(", ")));
        };
        if port.protocol.as_deref().is_some_and(|protocol| protocol != "TCP") {
            return Err(format!("port {} of Service {name} is not TCP", port.port));
        }
        let families = spec.and_then(|spec| spec.ip_families.as_deref()).unwrap_or_default();
        let app_protocol = port.app_protocol.clone().map(AppProtocol::try_from).transpose();
        let app_protocol =
            app_protocol.map_err(|error| format!("port {} of Service {name}: {error}", port.port))?;
        let endpoints = self.endpoints((namespace, name), port, families);
        Ok(Resolved { endpoints, app_protocol: app_protocol.unwrap_or_default() })
    }

    /// A pod of a Service with two address families is in a slice of each: the Service's first one counts.
    fn endpoints(&self, key: (&str, &str), port: &ServicePort, families: &[String]) -> Vec<EndpointAddress> {
        let slices = self.slices.get(&key).map(Vec::as_slice).unwrap_or_default();
        let of_family = |family: &str| {
            let slices = slices.iter().copied().filter(move |slice| slice.address_type == family);
            usable(slices, port, self.proven)
        };
        let families: Vec<_> = if families.is_empty() {
            vec!["IPv4", "IPv6"]
        } else {
            families.iter().map(String::as_str).collect()
        };
        families.into_iter().map(of_family).find(|found| !found.is_empty()).unwrap_or_default()
    }
}

/// The endpoints that are ready; where none is, those that end but still serve; where there are none of these, those
/// that were ready before: a bad answer is better than none.
fn usable<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice>,
    port: &ServicePort,
    proven: &Proven,
) -> Vec<EndpointAddress> {
    let [mut ready, mut ending, mut unready] = [const { BTreeSet::new() }; 3];
    for slice in slices {
        let Some(port) = port_of(slice, port) else { continue };
        for endpoint in &slice.endpoints {
            let address = endpoint.addresses.first().and_then(|address| address.parse::<IpAddr>().ok());
            let address = address.map(|address| SocketAddr::new(address, port));
            let set = match Condition::of(endpoint) {
                Condition::Ready => &mut ready,
                Condition::Ending => &mut ending,
                Condition::Unready if proven.has(endpoint) => &mut unready,
                Condition::Unready | Condition::Gone => continue,
            };
            set.extend(address);
        }
    }
    let chosen = [ready, ending, unready].into_iter().find(|set| !set.is_empty());
    chosen.into_iter().flatten().map(EndpointAddress).collect()
}

/// A slice names ports as the Service does, and says which number they have at the pods.
fn port_of(slice: &EndpointSlice, port: &ServicePort) -> Option<u16> {
    let name = port.name.as_deref().unwrap_or_default();
    let mut ports = slice.ports.iter().flatten();
    let found = ports.find(|found| found.name.as_deref().unwrap_or_default() == name)?;
    u16::try_from(found.port?).ok().filter(|&port| port > 0)
}

/// What may be sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Ready,
    /// Nothing new, unless it is the last resort.
    Ending,
    /// It starts, or it is said to be unwell.
    Unready,
    Gone,
}

// === impl Condition ===

impl Condition {
    fn of(endpoint: &Endpoint) -> Self {
        let ready = is_ready(endpoint);
        // Unknown means as ready as it is (EndpointSlice API, `EndpointConditions`).
        let serving = endpoint.conditions.as_ref().and_then(|conditions| conditions.serving).unwrap_or(ready);
        match (is_ending(endpoint), ready, serving) {
            (false, true, _) => Self::Ready,
            (false, false, _) => Self::Unready,
            (true, _, true) => Self::Ending,
            (true, _, false) => Self::Gone,
        }
    }
}
