use crate::{
    config::{HeaderName, MatchSpec, PathMatch, RouteSpec, ValueMatch},
    message::{Fields, Request},
};
use hyper::Method;

/// Which requests a route takes.
#[derive(Debug)]
pub struct Matcher {
    hosts: Vec<Host>,
    /// One of them must fit.
    matches: Vec<MatchSpec>,
}

/// What a request is matched by.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Without a port.
    pub host: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// The lines of the head.
    pub fields: &'a Fields,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Exact(String),
    /// The part from the first dot on, so `.example.com` for `*.example.com`.
    Below(String),
}

/// How specific a match is, in the order of the Gateway API: host, kind of path, length of path, method, number of
/// headers, number of parameters.
pub(super) type Specificity = (usize, u8, usize, bool, usize, usize);

// === impl Target ===

impl<'a> Target<'a> {
    /// What `request` is matched by; a port of `host` does not count.
    #[must_use]
    pub fn of(request: &'a Request, host: &'a str) -> Self {
        let Request { method, fields, .. } = request;
        let host = match host.rsplit_once(':') {
            // The colons of an IPv6 address are inside of brackets.
            Some((name, port)) if !port.ends_with(']') => name,
            _ => host,
        };
        Self { host, path: request.path(), query: request.query(), method, fields }
    }
}

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
        Self { hosts, matches: spec.matches.clone() }
    }

    /// How well the route fits a request; `None` where it does not.
    pub(super) fn fit(&self, target: &Target<'_>) -> Option<Specificity> {
        let host = match self.hosts.as_slice() {
            [] => 0,
            hosts => hosts.iter().filter_map(|pattern| pattern.fit(target.host)).max()?,
        };
        let fits = self.matches.iter().filter_map(|spec| fit(spec, target));
        let (kind, length, method, headers, query) = fits.max()?;
        Some((host, kind, length, method, headers, query))
    }

    /// What of the route fits, in words.
    #[must_use]
    pub fn describe(&self, target: &Target<'_>) -> String {
        let host = match self.hosts.as_slice() {
            [] => "any host".to_owned(),
            hosts => hosts
                .iter()
                .filter_map(|host| Some((host.fit(target.host)?, host)))
                .max_by_key(|(fit, _)| *fit)
                .map_or_else(
                    || "no host".to_owned(),
                    |(_, host)| match host {
                        Host::Exact(name) => format!("host {name}"),
                        Host::Below(suffix) => format!("host *{suffix}"),
                    },
                ),
        };
        let fitting = self.matches.iter().filter_map(|spec| Some((fit(spec, target)?, spec)));
        let Some((_, spec)) = fitting.max_by_key(|(fit, _)| *fit) else { return host };
        let path = match &spec.path {
            PathMatch::Exact(path) => format!("path {}", path.as_str()),
            PathMatch::PathPrefix(prefix) => format!("path prefix {}", prefix.as_str()),
            PathMatch::RegularExpression(pattern) => format!("path pattern {}", pattern.as_str()),
        };
        let method = spec.method.as_ref().map(|method| format!("method {}", method.get()));
        let headers = spec.headers.iter().map(|header| format!("header {}", header.name));
        let query = spec.query_params.iter().map(|parameter| format!("parameter {}", parameter.name));
        [host, path].into_iter().chain(method).chain(headers).chain(query).collect::<Vec<_>>().join(", ")
    }

    /// The prefix of the path that a match by prefix took, for filters that replace it.
    #[must_use]
    pub fn prefix_of<'a>(&self, target: &Target<'a>) -> &'a str {
        let fitting = self.matches.iter().filter(|spec| fit(spec, target).is_some());
        let prefixes = fitting.filter_map(|spec| match &spec.path {
            PathMatch::PathPrefix(prefix) => target.path.get(..prefix.trimmed().len()),
            _ => None,
        });
        prefixes.max_by_key(|prefix| prefix.len()).unwrap_or_default()
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

/// How well one of the matches of a route fits.
fn fit(spec: &MatchSpec, target: &Target<'_>) -> Option<(u8, usize, bool, usize, usize)> {
    let (kind, length) = match &spec.path {
        PathMatch::Exact(exact) => (exact.as_str() == target.path).then(|| (2, exact.as_str().len()))?,
        PathMatch::RegularExpression(pattern) => {
            pattern.fits(target.path.as_bytes()).then(|| (1, pattern.as_str().len()))?
        }
        PathMatch::PathPrefix(prefix) => {
            below(target.path, prefix.trimmed()).then(|| (0, prefix.trimmed().len()))?
        }
    };
    let has = |header: &ValueMatch<HeaderName>| {
        target.fields.get_all(header.name.get().as_str()).any(|value| header.value.fits(value))
    };
    let asks = |parameter: &ValueMatch<String>| {
        let mut pairs = target.query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(name, _)| *name == parameter.name);
        found.is_some_and(|(_, value)| parameter.value.fits(value.as_bytes()))
    };
    let fits = spec.method.as_ref().is_none_or(|method| method.get() == target.method)
        && spec.headers.iter().all(has)
        && spec.query_params.iter().all(asks);
    fits.then_some((kind, length, spec.method.is_some(), spec.headers.len(), spec.query_params.len()))
}

/// Whether `path` is `prefix`, which has no slash at its end, or something below it.
fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_yaml;

    fn matcher(fields: &str) -> Matcher {
        let yaml = format!("routes: [{{name: r, backends: [{{name: b, track: stable}}], {fields}}}]");
        Matcher::new(&from_yaml("test", &yaml).unwrap().routes[0])
    }

    fn fit(matcher: &Matcher, method: &str, uri: &str) -> Option<Specificity> {
        fit_with(matcher, method, uri, &Fields::default())
    }

    /// `uri` is host, path and query without a scheme.
    fn fit_with(matcher: &Matcher, method: &str, uri: &str, fields: &Fields) -> Option<Specificity> {
        let (host, path) = uri.split_at(uri.find('/').unwrap());
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        matcher.fit(&Target { host, path, query, method: &method.parse().unwrap(), fields })
    }

    #[test]
    fn a_prefix_takes_whole_segments() {
        let blog = matcher("pathPrefix: /blog");
        for path in ["/blog", "/blog/", "/blog/1"] {
            assert!(fit(&blog, "GET", path).is_some(), "{path}");
        }
        for path in ["/blogs", "/", "/Blog", "/x/blog"] {
            assert!(fit(&blog, "GET", path).is_none(), "{path}");
        }
        assert!(fit(&matcher("pathPrefix: /"), "GET", "/x").is_some());
        for (path, prefix) in [("/blog/1", "/blog"), ("/other", "")] {
            let target =
                Target { host: "", path, query: None, method: &Method::GET, fields: &Fields::default() };
            assert_eq!(blog.prefix_of(&target), prefix);
        }
    }

    #[test]
    fn a_wildcard_takes_hosts_below_and_not_the_domain_itself() {
        let wild = matcher("hostnames: ['*.Example.com']");
        for host in ["a.example.com", "A.B.EXAMPLE.COM"] {
            assert!(fit(&wild, "GET", &format!("{host}/")).is_some(), "{host}");
        }
        for host in ["example.com", ".example.com", "badexample.com"] {
            assert!(fit(&wild, "GET", &format!("{host}/")).is_none(), "{host}");
        }
    }

    #[test]
    fn paths_are_exact_or_fit_a_whole_pattern() {
        let exact = matcher("matches: [{path: {type: Exact, value: /a}}]");
        assert!(fit(&exact, "GET", "/a").is_some() && fit(&exact, "GET", "/a/").is_none());
        let pattern = matcher("matches: [{path: {type: RegularExpression, value: '/a[0-9]|/b'}}]");
        assert!(fit(&pattern, "GET", "/a1").is_some() && fit(&pattern, "GET", "/b").is_some());
        assert!(fit(&pattern, "GET", "/a1x").is_none() && fit(&pattern, "GET", "/x/b").is_none());
    }

    #[test]
    fn headers_parameters_and_method_must_all_hold_and_any_match_is_enough() {
        let matcher = matcher(
            "matches: [{method: POST, headers: [{name: X-Env, value: 't.*', type: RegularExpression}], \
             queryParams: [{name: v, value: '2'}]}, {path: {type: Exact, value: /always}}]",
        );
        let mut headers = Fields::default();
        headers.append("x-env", b"test");
        assert!(fit_with(&matcher, "POST", "/x?v=2", &headers).is_some());
        assert!(fit_with(&matcher, "GET", "/x?v=2", &headers).is_none());
        assert!(
            fit_with(&matcher, "POST", "/x?v=1&v=2", &headers).is_none(),
            "the first of a repeated one counts"
        );
        assert!(fit_with(&matcher, "POST", "/x", &headers).is_none());
        assert!(fit(&matcher, "POST", "/x?v=2").is_none());
        assert!(fit(&matcher, "GET", "/always").is_some());
    }

    #[test]
    fn the_more_specific_route_wins() {
        // In rising order.
        let matchers = [
            matcher("pathPrefix: /"),
            matcher("pathPrefix: /a"),
            matcher("matches: [{path: {type: PathPrefix, value: /a}, queryParams: [{name: q, value: x}]}]"),
            matcher("matches: [{path: {type: PathPrefix, value: /a}, headers: [{name: h, value: x}]}]"),
            matcher("matches: [{path: {type: PathPrefix, value: /a}, method: GET}]"),
            matcher("pathPrefix: /a/b"),
            matcher("matches: [{path: {type: RegularExpression, value: '/a/.'}}]"),
            matcher("matches: [{path: {type: Exact, value: /a/b}}]"),
            matcher("hostnames: ['*.example.com']"),
            matcher("hostnames: ['*.a.example.com']"),
            matcher("hostnames: [x.a.example.com]"),
        ];
        let mut headers = Fields::default();
        headers.append("h", b"x");
        let fits: Vec<_> = matchers
            .iter()
            .map(|matcher| fit_with(matcher, "GET", "x.a.example.com/a/b?q=x", &headers))
            .collect();
        assert!(fits.iter().all(Option::is_some) && fits.is_sorted_by(|a, b| a < b), "{fits:?}");
    }
}
