//! The one address that the driver sends to.

use std::net::SocketAddr;

use url::{Host, Url};

/// The address given on the command line: nothing is ever sent anywhere else.
///
/// Every connection is opened to [`Target::addresses`], which are looked up once; a request carries only a
/// path of the target. So neither a redirect nor a link can lead the driver elsewhere.
#[derive(Clone, Debug)]
pub struct Target {
    base: Url,
    addresses: Vec<SocketAddr>,
}

/// Which addresses may be targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only this machine.
    Loopback,
    /// Any machine: the person who starts the load answers for it.
    Remote,
}

/// A target that is refused.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not a URL.
    #[error("--target `{0}` is not a URL ({1}): write it like http://127.0.0.1:8080")]
    Syntax(String, url::ParseError),
    /// Another scheme than http.
    #[error("--target `{0}`: only plain http is spoken here; write it like http://127.0.0.1:8080")]
    Scheme(String),
    /// User information, a query or a fragment.
    #[error("--target `{0}`: give scheme, host, port and at most a path; the rest belongs into a scenario")]
    Extra(String),
    /// The name has no address.
    #[error("--target `{0}`: the name has no address ({1}); check the spelling or give an IP address")]
    Lookup(String, std::io::Error),
    /// Some address of the name is not this machine.
    #[error(
        "--target `{0}` is {1}, which is not this machine: load is only sent to 127.0.0.0/8 and ::1 unless you say --allow-remote"
    )]
    NotLoopback(String, SocketAddr),
}

impl Target {
    /// Reads the target and looks its addresses up, once.
    ///
    /// # Errors
    /// [`TargetError`] for anything but `http://host[:port][/path]`, for a name without address and, within
    /// [`Reach::Loopback`], for a host with any address that is not loopback.
    pub async fn resolve(text: &str, reach: Reach) -> Result<Self, TargetError> {
        let mut base = Url::parse(text).map_err(|error| TargetError::Syntax(text.to_owned(), error))?;
        if base.scheme() != "http" {
            return Err(TargetError::Scheme(text.to_owned()));
        }
        let plain = base.username().is_empty() && base.password().is_none();
        if !plain || base.query().is_some() || base.fragment().is_some() {
            return Err(TargetError::Extra(text.to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let addresses = look_up(&base).await.map_err(|error| TargetError::Lookup(text.to_owned(), error))?;
        match addresses.iter().find(|address| !address.ip().to_canonical().is_loopback()) {
            Some(away) if reach == Reach::Loopback => Err(TargetError::NotLoopback(text.to_owned(), *away)),
            _ => Ok(Self { base, addresses }),
        }
    }

    /// Where connections are opened, in order of preference; at least one.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The value of `Host`.
    pub fn authority(&self) -> &str {
        self.base.authority()
    }

    /// The value of `Origin`.
    pub fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// The URL of a path of a scenario; `/` is the target itself, also where that has a path.
    pub fn page(&self, path: &str) -> Option<Url> {
        // With the dot in front nothing in the path can be taken for a scheme or a host.
        self.base.join(&format!("./{}", path.trim_start_matches('/'))).ok().filter(|url| self.owns(url))
    }

    /// Whether the URL has the target's scheme, host and port.
    pub fn owns(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.base.as_str())
    }
}

async fn look_up(base: &Url) -> std::io::Result<Vec<SocketAddr>> {
    let port = base.port_or_known_default().unwrap_or(80);
    let addresses: Vec<_> = match base.host() {
        Some(Host::Ipv4(ip)) => vec![SocketAddr::from((ip, port))],
        Some(Host::Ipv6(ip)) => vec![SocketAddr::from((ip, port))],
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port)).await?.collect(),
        None => vec![],
    };
    if addresses.is_empty() {
        return Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(text: &str) -> String {
        Target::resolve(text, Reach::Loopback).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn only_this_machine_is_a_target_unless_allowed() {
        assert!(Target::resolve("http://127.9.9.9:81", Reach::Loopback).await.is_ok());
        assert!(Target::resolve("http://[::1]:81/blog", Reach::Loopback).await.is_ok());
        assert!(refused("http://192.0.2.1:80").await.contains("--allow-remote"));
        assert!(refused("http://0.0.0.0:80").await.contains("--allow-remote"));
        assert!(refused("http://[::ffff:192.0.2.1]/").await.contains("--allow-remote"));
        assert!(Target::resolve("http://192.0.2.1:80", Reach::Remote).await.is_ok());
    }

    #[tokio::test]
    async fn other_forms_are_refused_with_a_remedy() {
        for text in ["127.0.0.1:80", "https://127.0.0.1", "ftp://127.0.0.1", "http://127.0.0.1/?q=1", ""] {
            assert!(refused(text).await.starts_with("--target"), "{text}");
        }
        assert!(refused("http://a:b@127.0.0.1/").await.contains("scheme, host, port"));
    }

    #[tokio::test]
    async fn pages_stay_on_the_target() {
        let target = Target::resolve("http://127.0.0.1:8080/blog", Reach::Loopback).await.unwrap();
        assert_eq!(target.page("/posts?x=1").unwrap().as_str(), "http://127.0.0.1:8080/blog/posts?x=1");
        assert_eq!(target.page("/").unwrap().as_str(), "http://127.0.0.1:8080/blog/");
        assert_eq!(
            target.page("http://127.0.0.1:9/").unwrap().as_str(),
            "http://127.0.0.1:8080/blog/http://127.0.0.1:9/"
        );
        assert!(!target.owns(&Url::parse("http://127.0.0.1:9/").unwrap()));
        assert_eq!(
            target.page("//127.0.0.1:9/x").unwrap().as_str(),
            "http://127.0.0.1:8080/blog/127.0.0.1:9/x"
        );
    }
}
