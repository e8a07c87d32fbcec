use super::objects::ParentRef;
use std::{fmt, str::FromStr};

/// What an HTTPRoute must name in `parentRefs` to be the router's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    kind: Kind,
    /// Any, where none is stated.
    namespace: Option<String>,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gateway,
    Service,
}

/// The text names no [`Parent`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no parent: write Service/NAME or Gateway/NAME, or with a namespace Service/NAMESPACE/NAME"
)]
pub struct ParentError(String);

// === impl Parent ===

impl Parent {
    /// Whether `reference`, in a route of `namespace`, means this parent.
    pub(super) fn is_named_by(&self, reference: &ParentRef, namespace: &str) -> bool {
        let ParentRef { group, kind, namespace: stated, name } = reference;
        let (own_group, own_kind) = self.kind.names();
        let namespace = stated.as_deref().unwrap_or(namespace);
        group.as_deref().unwrap_or(Kind::Gateway.names().0) == own_group
            && kind.as_deref().unwrap_or(Kind::Gateway.names().1) == own_kind
            && self.namespace.as_deref().is_none_or(|own| own == namespace)
            && *name == self.name
    }
}

impl FromStr for Parent {
    type Err = ParentError;

    fn from_str(text: &str) -> Result<Self, ParentError> {
        let error = || ParentError(text.to_owned());
        let (kind, rest) = text.split_once('/').ok_or_else(error)?;
        let kind = [Kind::Gateway, Kind::Service].into_iter().find(|known| known.names().1 == kind);
        let (namespace, name) = rest.split_once('/').map_or((None, rest), |(ns, name)| (Some(ns), name));
        if [Some(name), namespace].into_iter().flatten().any(|part| !is_object_name(part)) {
            return Err(error());
        }
        Ok(Self {
            kind: kind.ok_or_else(error)?,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        f.write_str(kind.names().1)?;
        namespace.iter().try_for_each(|namespace| write!(f, "/{namespace}"))?;
        write!(f, "/{name}")
    }
}

fn is_object_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

// === impl Kind ===

impl Kind {
    /// Group and kind, as an object names them.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Gateway => ("gateway.networking.k8s.io", "Gateway"),
            Self::Service => ("", "Service"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(yaml: &str) -> ParentRef {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn a_parent_reads_back_as_it_is_written_and_nonsense_is_refused() {
        for text in ["Service/router", "Gateway/infra/public"] {
            assert_eq!(text.parse::<Parent>().unwrap().to_string(), text);
        }
        for text in ["", "router", "Pod/router", "Service/", "Service//router", "Service/a/b/c", "Gateway/A"]
        {
            assert_eq!(text.parse::<Parent>(), Err(ParentError(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn references_are_gateways_of_the_same_namespace_unless_they_say_otherwise() {
        let gateway: Parent = "Gateway/blog/public".parse().unwrap();
        assert!(gateway.is_named_by(&reference("{name: public}"), "blog"));
        assert!(gateway.is_named_by(&reference("{name: public, namespace: blog}"), "shop"));
        assert!(!gateway.is_named_by(&reference("{name: public}"), "shop"));
        assert!(!gateway.is_named_by(&reference("{name: public, kind: Service, group: ''}"), "blog"));
        let service: Parent = "Service/router".parse().unwrap();
        assert!(service.is_named_by(&reference("{name: router, kind: Service, group: ''}"), "anywhere"));
        assert!(!service.is_named_by(&reference("{name: router}"), "anywhere"));
    }
}
