use super::names::Hostname;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, net::SocketAddr, slice};

/// An IP address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct EndpointAddress(pub SocketAddr);

/// Where replicas are, as it is written: an address, or a name that stands for all addresses that DNS knows for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointSpec {
    /// `127.0.0.1:8000`
    Address(EndpointAddress),
    /// `blog.internal:8000`
    Name {
        /// The name.
        name: EndpointName,
        /// What it stood for when it was last asked for; sorted.
        addresses: Vec<EndpointAddress>,
    },
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointName {
    host: String,
    port: u16,
}

// === impl EndpointSpec ===

impl EndpointSpec {
    /// Where requests can go now.
    #[must_use]
    pub fn addresses(&self) -> &[EndpointAddress] {
        match self {
            Self::Address(address) => slice::from_ref(address),
            Self::Name { addresses, .. } => addresses,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return (address.port() != 0).then_some(Self::Address(EndpointAddress(address)));
        }
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|&port| port > 0)?;
        // What looks like an address and is none is a mistake, not a name.
        let is_name = !host.starts_with('*') && host.bytes().any(|byte| byte.is_ascii_alphabetic());
        let host = Hostname::try_from(host.trim_end_matches('.').to_owned()).ok().filter(|_| is_name)?;
        let name = EndpointName { host: host.as_str().to_owned(), port };
        Some(Self::Name { name, addresses: Vec::new() })
    }
}

impl<'de> Deserialize<'de> for EndpointSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "endpoint {text:?} has no address or no port; write it like \"127.0.0.1:8000\" or \"blog.internal:8000\""
            ))
        })
    }
}

impl Serialize for EndpointSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Address(address) => address.serialize(serializer),
            Self::Name { name, .. } => serializer.collect_str(name),
        }
    }
}

// === impl EndpointAddress ===

impl<'de> Deserialize<'de> for EndpointAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let address: Option<SocketAddr> =
            text.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
        address.map(Self).ok_or_else(|| {
            de::Error::custom(format!(
                "endpoint {text:?} is not an address; write it like \"127.0.0.1:8000\""
            ))
        })
    }
}

// === impl EndpointName ===

impl EndpointName {
    /// The name without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_or_a_name_and_always_has_a_port() {
        for text in ["127.0.0.1:80", "[::1]:80", "blog:8000", "blog-1.internal:8000"] {
            let spec: EndpointSpec = serde_json::from_str(&format!("{text:?}")).unwrap();
            assert_eq!(serde_json::to_string(&spec).unwrap(), format!("{text:?}"));
        }
        for text in [
            "blog",
            "127.0.0.1",
            "127.0.0.1:0",
            "127.0.0.300:80",
            "blog:0",
            "*.blog:80",
            "a b:80",
            "::1:80",
            ":80",
        ] {
            let error = serde_json::from_str::<EndpointSpec>(&format!("{text:?}")).unwrap_err().to_string();
            assert!(error.contains("blog.internal:8000"), "{error}");
        }
    }
}
