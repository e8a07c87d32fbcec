use serde::{Deserialize, Serialize};

/// What a backend speaks, by the names that Kubernetes has for it (`appProtocol` of a Service's port,
/// [KEP-3726](https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/3726-standard-application-protocols)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AppProtocol {
    /// HTTP/1.1: where nothing is written, `http`, and `kubernetes.io/ws`, as a WebSocket begins as HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS and without asking first, `kubernetes.io/h2c`: what gRPC needs.
    H2c,
}

/// A protocol that the router does not speak with backends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("appProtocol {0:?} is not spoken with backends; write \"http\" or \"kubernetes.io/h2c\"")]
pub struct AppProtocolError(String);

// === impl AppProtocol ===

impl AppProtocol {
    /// Whether it need not be written.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl TryFrom<String> for AppProtocol {
    type Error = AppProtocolError;

    fn try_from(text: String) -> Result<Self, AppProtocolError> {
        match text.as_str() {
            "http" | "kubernetes.io/ws" => Ok(Self::Http1),
            "kubernetes.io/h2c" => Ok(Self::H2c),
            _ => Err(AppProtocolError(text)),
        }
    }
}

impl From<AppProtocol> for String {
    fn from(protocol: AppProtocol) -> Self {
        match protocol {
            AppProtocol::Http1 => "http".to_owned(),
            AppProtocol::H2c => "kubernetes.io/h2c".to_owned(),
        }
    }
}
