use crate::config::RouteSpec;

/// Which requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    hosts: Vec<Host>,
    /// Without the slash at its end.
    prefix: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Exact(String),
    /// The part from the first dot on, so `.example.com` for `*.example.com`.
    Below(String),
}

/// How specific a match is: a longer host wins, then a longer path.
pub(super) type Specificity = (usize, usize);

// === impl Matcher ===

impl Matcher {
    /// The matcher that the fields of a route ask for.
    #[must_use]
    pub fn new(spec: &RouteSpec) -> Self {
        let host = |host: &str| match host.strip_prefix('*') {
            Some(suffix) => Host::Below(suffix.to_owned()),
            None => Host::Exact(host.to_owned()),
        };
        let hosts = spec.hostnames.iter().map(|hostname| host(hostname.as_str())).collect();
        Self { hosts, prefix: spec.path_prefix.trimmed().to_owned() }
    }

    /// How well the route fits a request; `None` where it does not. `host` has no port.
    pub(super) fn fit(&self, host: &str, path: &str) -> Option<Specificity> {
        let below = path.strip_prefix(self.prefix.as_str())?;
        if !(below.is_empty() || below.starts_with('/')) {
            return None;
        }
        let host = match self.hosts.as_slice() {
            [] => 0,
            hosts => hosts.iter().filter_map(|pattern| pattern.fit(host)).max()?,
        };
        Some((host, self.prefix.len()))
    }
}

// === impl Host ===

impl Host {
    /// The length of the fitting pattern; an exact host beats every wildcard.
    fn fit(&self, host: &str) -> Option<usize> {
        match self {
            Self::Exact(exact) => host.eq_ignore_ascii_case(exact).then_some(usize::MAX),
            Self::Below(suffix) => {
                let start = host.len().checked_sub(suffix.len()).filter(|&start| start > 0)?;
                host.get(start..)?.eq_ignore_ascii_case(suffix).then_some(suffix.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_yaml;

    fn matcher(fields: &str) -> Matcher {
        let yaml = format!("routes: [{{name: r, backends: [{{name: b, track: stable}}], {fields}}}]");
        Matcher::new(&from_yaml("test", &yaml).unwrap().routes[0])
    }

    #[test]
    fn a_prefix_takes_whole_segments() {
        let blog = matcher("pathPrefix: /blog");
        for path in ["/blog", "/blog/", "/blog/1"] {
            assert!(blog.fit("any", path).is_some(), "{path}");
        }
        for path in ["/blogs", "/", "/Blog", "/x/blog"] {
            assert!(blog.fit("any", path).is_none(), "{path}");
        }
        assert!(matcher("pathPrefix: /").fit("any", "/x").is_some());
    }

    #[test]
    fn a_wildcard_takes_hosts_below_and_not_the_domain_itself() {
        let wild = matcher("hostnames: ['*.Example.com']");
        assert!(wild.fit("a.example.com", "/").is_some());
        assert!(wild.fit("A.B.EXAMPLE.COM", "/").is_some());
        assert!(wild.fit("example.com", "/").is_none());
        assert!(wild.fit(".example.com", "/").is_none());
        assert!(wild.fit("badexample.com", "/").is_none());
    }

    #[test]
    fn the_more_specific_route_wins() {
        let any = matcher("pathPrefix: /a/b").fit("a.example.com", "/a/b");
        let wild = matcher("hostnames: ['*.example.com']").fit("a.example.com", "/a/b");
        let exact = matcher("hostnames: ['a.example.com']").fit("a.example.com", "/a/b");
        let exact_deep = matcher("hostnames: ['a.example.com'], pathPrefix: /a").fit("a.example.com", "/a/b");
        assert!(any < wild && wild < exact && exact < exact_deep);
    }
}
