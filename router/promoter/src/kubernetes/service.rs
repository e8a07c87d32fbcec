//! The user's own Service: where the ports of the tracks' Services come from, and by which readers may still enter.

use super::candidate::CANARY;
use super::crd::CanarySpec;
use super::object::name_of;
use super::refusal::Refusal;
use super::revision::HASH_LABEL;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;
use split::Track;
use std::collections::BTreeMap;

/// The annotation that says which Canary keeps a Service to the pods of stable.
pub(super) const PINNED_BY: &str = "huidu.dev/pinned-by";

/// What matters of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its name; none where it is gone since the release began.
    pub(super) name: Option<String>,
    pub(super) port: i32,
    pub(super) target: IntOrString,
    pub(super) app_protocol: Option<String>,
    /// Its selector, as the user wrote it.
    pub(super) selector: BTreeMap<String, String>,
}

/// The Service that a Canary names, or the only one that selects the pods of a template.
pub(super) fn find(
    services: &[Service],
    spec: &CanarySpec,
    canary: &str,
    template: &Value,
) -> Result<Found, Refusal> {
    let service = match &spec.service {
        Some(name) => {
            let service = services.iter().find(|service| name_of(&service.metadata) == name);
            let service = service.ok_or_else(|| Refusal::ServiceNotFound(name.clone()))?;
            if !selects(service, template) {
                return Err(Refusal::ServiceOfOthers(name.clone()));
            }
            service
        }
        None => {
            let users = services.iter().filter(|service| !is_made(service) && selects(service, template));
            let users: Vec<_> = users.collect();
            match users.as_slice() {
                [] => return Err(Refusal::NoService(spec.deployment.clone())),
                [service] => *service,
                several => {
                    let names: Vec<_> = several.iter().map(|service| name_of(&service.metadata)).collect();
                    return Err(Refusal::ServiceAmbiguous(names.join(", ")));
                }
            }
        }
    };
    let name = name_of(&service.metadata).to_owned();
    if selector_of(service).contains_key(HASH_LABEL) && pinned_by(service) != Some(canary) {
        return Err(Refusal::ServiceSelectsByHash(name));
    }
    let port = port_of(service, spec.port.as_ref())?;
    let target = port.target_port.clone().unwrap_or(IntOrString::Int(port.port));
    if !leads_somewhere(&target, template) {
        return Err(Refusal::TargetPort { service: name, target: text(&target) });
    }
    let mut selector = selector_of(service).clone();
    selector.remove(HASH_LABEL);
    Ok(Found { name: Some(name), port: port.port, target, app_protocol: port.app_protocol.clone(), selector })
}

/// The same, as the Service of a track that was made before remembers it: the user's own may be gone by now.
pub(super) fn remembered(services: &[Service], canary: &str) -> Option<Found> {
    let stable = format!("{canary}-{}", Track::Stable.as_str());
    let own = services.iter().find(|service| pinned_by(service) == Some(canary));
    let service = services.iter().find(|service| is_made(service) && name_of(&service.metadata) == stable)?;
    let port = service.spec.as_ref()?.ports.iter().flatten().next()?;
    let mut selector = selector_of(service).clone();
    selector.remove(HASH_LABEL);
    Some(Found {
        name: own.map(|own| name_of(&own.metadata).to_owned()),
        port: port.port,
        target: port.target_port.clone().unwrap_or(IntOrString::Int(port.port)),
        app_protocol: port.app_protocol.clone(),
        selector,
    })
}

/// The Canary that keeps a Service to the pods of stable.
pub(super) fn pinned_by(service: &Service) -> Option<&str> {
    service.metadata.annotations.as_ref()?.get(PINNED_BY).map(String::as_str)
}

/// The `pod-template-hash` that a Service selects by.
pub(super) fn hash_of(service: &Service) -> Option<&str> {
    selector_of(service).get(HASH_LABEL).map(String::as_str)
}

fn selector_of(service: &Service) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).unwrap_or(&NONE)
}

/// Whether a Service was made by some Canary.
fn is_made(service: &Service) -> bool {
    service.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(CANARY))
}

/// Whether a Service selects the pods of a template, whatever hash they have.
fn selects(service: &Service, template: &Value) -> bool {
    let labels = template.pointer("/metadata/labels").and_then(Value::as_object);
    let has = |(name, value): (&String, &String)| {
        name == HASH_LABEL
            || labels.and_then(|labels| labels.get(name)).and_then(Value::as_str) == Some(value)
    };
    let selector = selector_of(service);
    selector.keys().any(|name| name != HASH_LABEL) && selector.iter().all(has)
}

/// The port that readers' requests come to: the one asked for, the only one, or the one that says it is HTTP.
fn port_of<'a>(service: &'a Service, asked: Option<&IntOrString>) -> Result<&'a ServicePort, Refusal> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let service = || name_of(&service.metadata).to_owned();
    match (asked, ports) {
        (Some(asked), ports) => {
            let fits = |port: &&ServicePort| match asked {
                IntOrString::Int(number) => port.port == *number,
                IntOrString::String(name) => port.name.as_ref() == Some(name),
            };
            ports
                .iter()
                .find(fits)
                .ok_or_else(|| Refusal::PortNotFound { service: service(), port: text(asked) })
        }
        (None, [port]) => Ok(port),
        (None, ports) => {
            let http = |port: &&ServicePort| {
                port.name.as_deref() == Some("http") || port.app_protocol.as_deref() == Some("http")
            };
            ports.iter().find(http).ok_or_else(|| Refusal::PortAmbiguous(service()))
        }
    }
}

/// Whether a container has the port; one that declares none may have any.
fn leads_somewhere(target: &IntOrString, template: &Value) -> bool {
    let containers = template.pointer("/spec/containers").and_then(Value::as_array);
    let ports = containers.into_iter().flatten().filter_map(|container| container.get("ports")?.as_array());
    let ports: Vec<&Value> = ports.flatten().collect();
    match target {
        IntOrString::Int(number) => {
            ports.is_empty()
                || ports
                    .iter()
                    .any(|port| port.get("containerPort").and_then(Value::as_i64) == Some((*number).into()))
        }
        IntOrString::String(name) => {
            ports.iter().any(|port| port.get("name").and_then(Value::as_str) == Some(name))
        }
    }
}

fn text(port: &IntOrString) -> String {
    match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(name: &str, selector: &Value, ports: &Value) -> Service {
        serde_json::from_value(json!({
            "metadata": {"name": name}, "spec": {"selector": selector, "ports": ports},
        }))
        .unwrap()
    }

    fn blog(name: &str) -> Service {
        service(name, &json!({"app": "blog"}), &json!([{"port": 80, "targetPort": 8080}]))
    }

    fn template() -> Value {
        json!({
            "metadata": {"labels": {"app": "blog", "tier": "web"}},
            "spec": {"containers": [
                {"name": "web", "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9090}]},
            ]},
        })
    }

    fn found(services: &[Service], spec: &Value) -> Result<Found, Refusal> {
        let spec: CanarySpec = serde_json::from_value(spec.clone()).unwrap();
        find(services, &spec, "blog", &template())
    }

    fn reason(services: &[Service], more: &Value) -> &'static str {
        let mut spec = json!({"deployment": "blog"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        found(services, &spec).unwrap_err().reason()
    }

    #[test]
    fn the_only_service_that_selects_the_pods_is_found() {
        let other = service("shop", &json!({"app": "shop"}), &json!([{"port": 80}]));
        let without_selector = service("external", &json!({}), &json!([{"port": 80}]));
        let mut made = blog("blog-stable");
        made.metadata.labels = Some([(CANARY.to_owned(), "blog".to_owned())].into());
        let found =
            found(&[other, without_selector, made, blog("web")], &json!({"deployment": "blog"})).unwrap();
        assert_eq!(found.name.as_deref(), Some("web"));
        assert_eq!((found.port, found.target), (80, IntOrString::Int(8080)));
    }

    #[test]
    fn what_cannot_be_known_is_refused_with_its_reason() {
        assert_eq!(reason(&[], &json!({})), "NoService");
        assert_eq!(reason(&[blog("web"), blog("other")], &json!({})), "ServiceAmbiguous");
        assert_eq!(reason(&[blog("web")], &json!({"service": "missing"})), "ServiceNotFound");
        let other = service("shop", &json!({"app": "shop"}), &json!([{"port": 80}]));
        assert_eq!(reason(&[other], &json!({"service": "shop"})), "ServiceOfOthers");
        let several = json!([{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]);
        let several = service("web", &json!({"app": "blog"}), &several);
        assert_eq!(reason(std::slice::from_ref(&several), &json!({})), "PortAmbiguous");
        assert_eq!(reason(&[several], &json!({"port": "c"})), "PortNotFound");
        for target in [json!("nowhere"), json!(8081)] {
            let ports = json!([{"port": 80, "targetPort": target}]);
            let wrong = service("web", &json!({"app": "blog"}), &ports);
            assert_eq!(reason(&[wrong], &json!({})), "TargetPort");
        }
    }

    #[test]
    fn of_several_ports_the_one_that_says_http_or_the_one_asked_for_is_taken() {
        let ports = json!([
            {"port": 9090, "name": "metrics", "targetPort": 9090}, {"port": 80, "name": "http", "targetPort": "http"},
        ]);
        let services = [service("web", &json!({"app": "blog"}), &ports)];
        assert_eq!(found(&services, &json!({"deployment": "blog"})).unwrap().port, 80);
        assert_eq!(found(&services, &json!({"deployment": "blog", "port": "metrics"})).unwrap().port, 9090);
        assert_eq!(found(&services, &json!({"deployment": "blog", "port": 9090})).unwrap().port, 9090);
    }

    #[test]
    fn while_a_release_is_under_way_what_was_made_before_will_do() {
        let mut stable = blog("blog-stable");
        stable.metadata.labels = Some([(CANARY.to_owned(), "blog".to_owned())].into());
        let mut own = service("web", &json!({"app": "other"}), &json!([{"port": 1}]));
        let found = remembered(&[stable.clone(), own.clone()], "blog").unwrap();
        assert_eq!((found.name, found.port), (None, 80));
        own.metadata.annotations = Some([(PINNED_BY.to_owned(), "blog".to_owned())].into());
        let found = remembered(&[stable, own.clone()], "blog").unwrap();
        assert_eq!(found.name.as_deref(), Some("web"), "it is still kept to stable's pods");
        assert_eq!(remembered(&[own], "blog"), None);
    }

    #[test]
    fn a_service_that_selects_by_hash_is_refused_unless_this_canary_made_it_do_so() {
        let mut pinned = service("web", &json!({"app": "blog", HASH_LABEL: "1"}), &json!([{"port": 8080}]));
        assert_eq!(reason(std::slice::from_ref(&pinned), &json!({})), "ServiceSelectsByHash");
        pinned.metadata.annotations = Some([(PINNED_BY.to_owned(), "blog".to_owned())].into());
        let found = found(&[pinned], &json!({"deployment": "blog"})).unwrap();
        assert_eq!(found.selector, BTreeMap::from([("app".to_owned(), "blog".to_owned())]));
    }
}
