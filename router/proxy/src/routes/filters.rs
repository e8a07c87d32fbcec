use crate::config::{
    Cors, FilterSpec, HeaderEdits, PathEdit, RequestMirror, RequestRedirect, Scheme, UrlRewrite,
};
use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    header::{self, HeaderValue},
    http::request,
};

/// The filters of a route, sorted by when they are due.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Changes of the request.
    pub request: Vec<HeaderEdits>,
    /// Changes of the answer.
    pub response: Vec<HeaderEdits>,
    /// Copies.
    pub mirrors: Vec<RequestMirror>,
    rewrite: Option<UrlRewrite>,
    redirect: Option<RequestRedirect>,
    cors: Option<Cors>,
}

/// What the answer to a preflight, or to a request of another origin, says.
const DEFAULT_MAX_AGE_S: u32 = 5;

// === impl Filters ===

impl Filters {
    /// Sorts the filters; of those that can be there only once the first one counts, as in the Gateway API.
    #[must_use]
    pub fn new(specs: &[FilterSpec]) -> Self {
        let mut filters = Self::default();
        for spec in specs {
            match spec.clone() {
                FilterSpec::RequestHeaderModifier(edits) => filters.request.push(edits),
                FilterSpec::ResponseHeaderModifier(edits) => filters.response.push(edits),
                FilterSpec::RequestMirror(mirror) => filters.mirrors.push(mirror),
                FilterSpec::UrlRewrite(rewrite) => filters.rewrite = filters.rewrite.or(Some(rewrite)),
                FilterSpec::RequestRedirect(redirect) => {
                    filters.redirect = filters.redirect.or(Some(redirect));
                }
                FilterSpec::Cors(cors) => filters.cors = filters.cors.or(Some(cors)),
            }
        }
        filters
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self { request, response, mirrors, rewrite, redirect, cors } = self;
        let has_lists = request.is_empty() && response.is_empty() && mirrors.is_empty();
        has_lists && rewrite.is_none() && redirect.is_none() && cors.is_none()
    }

    /// The router's own answer, where the filters have one: a preflight or a redirect.
    #[must_use]
    pub fn answer(
        &self,
        parts: &request::Parts,
        (scheme, host): (&str, &str),
        prefix: &str,
    ) -> Option<(StatusCode, HeaderMap)> {
        let is_preflight = parts.method == Method::OPTIONS
            && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if let Some(cors) = self.cors.as_ref().filter(|_| is_preflight) {
            return Some((StatusCode::NO_CONTENT, preflight(cors, &parts.headers)));
        }
        let redirect = self.redirect.as_ref()?;
        let location = location(redirect, parts, (scheme, host), prefix);
        let status = StatusCode::from_u16(redirect.status_code.0).unwrap_or(StatusCode::FOUND);
        let headers = HeaderValue::from_str(&location).ok().map(|location| (header::LOCATION, location));
        Some((status, HeaderMap::from_iter(headers)))
    }

    /// Changes the request before it is sent; the new host where there is one.
    #[must_use]
    pub fn edit_request(&self, parts: &mut request::Parts, prefix: &str) -> Option<HeaderValue> {
        self.request.iter().for_each(|edits| edit(edits, &mut parts.headers));
        let rewrite = self.rewrite.as_ref()?;
        if let Some(path) = &rewrite.path
            && let Some(uri) = with_path(&parts.uri, &edited_path(path, parts.uri.path(), prefix))
        {
            parts.uri = uri;
        }
        HeaderValue::from_str(rewrite.hostname.as_ref()?.as_str()).ok()
    }

    /// Changes the answer before it is passed on; `origin` is that of the request.
    pub fn edit_response(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        if let Some(cors) = &self.cors {
            allow_origin(cors, headers, origin);
            list(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &cors.expose_headers);
        }
        self.response.iter().for_each(|edits| edit(edits, headers));
    }
}

/// Set, then add, then remove.
pub(crate) fn edit(edits: &HeaderEdits, headers: &mut HeaderMap) {
    for header in &edits.set {
        headers.insert(header.name.get(), header.value.get().clone());
    }
    for header in &edits.add {
        headers.append(header.name.get(), header.value.get().clone());
    }
    for name in &edits.remove {
        headers.remove(name.get());
    }
}

fn edited_path(edit: &PathEdit, path: &str, prefix: &str) -> String {
    match edit {
        PathEdit::ReplaceFullPath(full) => full.as_str().to_owned(),
        PathEdit::ReplacePrefixMatch(new) => {
            let rest = path.strip_prefix(prefix).unwrap_or(path);
            let joined = format!("{}{rest}", new.trimmed());
            if joined.is_empty() { "/".to_owned() } else { joined }
        }
    }
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    match uri.query() {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    }
}

fn location(
    redirect: &RequestRedirect,
    parts: &request::Parts,
    (scheme, host): (&str, &str),
    prefix: &str,
) -> String {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, None),
    };
    let name = redirect.hostname.as_ref().map_or(name, |hostname| hostname.as_str());
    let new_scheme = redirect.scheme.map(|scheme| match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    });
    // Another scheme has another port, so the one that the client used means nothing there.
    let port = redirect.port.map(u16::from).or(if new_scheme.is_some() { None } else { port });
    let scheme = new_scheme.unwrap_or(scheme);
    let path = redirect.path.as_ref().map(|edit| edited_path(edit, parts.uri.path(), prefix));
    let path = path.as_deref().unwrap_or(parts.uri.path());
    let port = match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{name}{port}{path}{query}")
}

fn preflight(cors: &Cors, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !allow_origin(cors, &mut headers, request.get(header::ORIGIN)) {
        return headers;
    }
    // Beside cookies a star means itself; so what was asked for is repeated.
    let asked = |name| request.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let answer = |allowed: &[String], asked: Option<String>| match asked {
        Some(asked) if allowed.iter().any(|item| item == "*") => vec![asked],
        _ => allowed.to_vec(),
    };
    let methods = answer(&cors.allow_methods, asked(header::ACCESS_CONTROL_REQUEST_METHOD));
    list(&mut headers, header::ACCESS_CONTROL_ALLOW_METHODS, &methods);
    let names = answer(&cors.allow_headers, asked(header::ACCESS_CONTROL_REQUEST_HEADERS));
    list(&mut headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &names);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, cors.max_age.unwrap_or(DEFAULT_MAX_AGE_S).into());
    headers
}

/// Names the origin when it is allowed; whether it is.
fn allow_origin(cors: &Cors, headers: &mut HeaderMap, origin: Option<&HeaderValue>) -> bool {
    let allowed = |origin: &&HeaderValue| {
        origin
            .to_str()
            .is_ok_and(|origin| cors.allow_origins.iter().any(|pattern| origin_fits(pattern, origin)))
    };
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let Some(origin) = origin.filter(allowed) else { return false };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if cors.allow_credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    true
}

/// `*`, an origin, or an origin with `*.` before its host.
fn origin_fits(pattern: &str, origin: &str) -> bool {
    match pattern.split_once("://*.") {
        _ if pattern == "*" => true,
        Some((scheme, domain)) => origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"))
            .and_then(|host| host.strip_suffix(domain))
            .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.')),
        None => pattern.eq_ignore_ascii_case(origin),
    }
}

fn list(headers: &mut HeaderMap, name: header::HeaderName, items: &[String]) {
    if let Some(value) = HeaderValue::from_str(&items.join(", ")).ok().filter(|_| !items.is_empty()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_yaml;
    use hyper::Request;

    fn filters(yaml: &str) -> Filters {
        let yaml = format!("routes: [{{name: r, backends: [{{name: b, track: stable}}], filters: {yaml}}}]");
        Filters::new(&from_yaml("test", &yaml).unwrap().routes[0].filters)
    }

    fn parts(uri: &str) -> request::Parts {
        Request::get(uri)
            .header("origin", "https://shop.example")
            .header("x-old", "1")
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    fn redirected(yaml: &str, uri: &str, host: &str) -> String {
        let answer =
            filters(&format!("[{{requestRedirect: {yaml}}}]")).answer(&parts(uri), ("http", host), "/old");
        answer.unwrap().1["location"].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_redirect_changes_what_it_states_and_keeps_the_rest() {
        assert_eq!(redirected("{scheme: https}", "/a?b", "x.example:8080"), "https://x.example/a?b");
        assert_eq!(redirected("{hostname: y.example}", "/a", "x.example:8080"), "http://y.example:8080/a");
        assert_eq!(redirected("{port: 80}", "/a", "x.example:8080"), "http://x.example/a");
        assert_eq!(redirected("{path: {replacePrefixMatch: /new}}", "/old/a?b", "x"), "http://x/new/a?b");
        assert_eq!(redirected("{path: {replacePrefixMatch: /}}", "/old", "x"), "http://x/");
        assert_eq!(
            redirected("{path: {replaceFullPath: /new}}", "/old/a?b", "[::1]:81"),
            "http://[::1]:81/new?b"
        );
    }

    #[test]
    fn a_rewrite_and_header_changes_reach_the_backend() {
        let filters = filters(
            "[{requestHeaderModifier: {set: [{name: x-old, value: '2'}], add: [{name: X-Old, value: '3'}], \
             remove: [origin]}}, {urlRewrite: {hostname: in.example, path: {replacePrefixMatch: /new}}}]",
        );
        let mut parts = parts("/old/a?b");
        assert_eq!(filters.edit_request(&mut parts, "/old").unwrap(), "in.example");
        assert_eq!(parts.uri, "/new/a?b");
        let values: Vec<_> = parts.headers.get_all("x-old").iter().collect();
        assert!(values == ["2", "3"] && !parts.headers.contains_key("origin"), "{:?}", parts.headers);
    }

    #[test]
    fn other_origins_are_told_what_they_may() {
        let cors = filters(
            "[{cors: {allowOrigins: ['https://*.shop.example', 'https://shop.example'], allowMethods: ['*'], \
             allowHeaders: [x-a], allowCredentials: true, exposeHeaders: [x-b]}}]",
        );
        let mut preflight = parts("/");
        preflight.method = Method::OPTIONS;
        preflight.headers.insert("access-control-request-method", HeaderValue::from_static("PATCH"));
        let (status, headers) = cors.answer(&preflight, ("http", "x"), "").unwrap();
        assert_eq!(
            (status, &headers["access-control-allow-methods"]),
            (StatusCode::NO_CONTENT, &"PATCH".parse().unwrap())
        );
        assert_eq!(headers["access-control-allow-origin"], "https://shop.example");
        preflight.headers.insert("origin", HeaderValue::from_static("https://evilshop.example"));
        assert!(
            !cors
                .answer(&preflight, ("http", "x"), "")
                .unwrap()
                .1
                .contains_key("access-control-allow-origin")
        );

        let mut answer = HeaderMap::new();
        cors.edit_response(&mut answer, Some(&HeaderValue::from_static("https://a.shop.example")));
        assert_eq!(answer["access-control-allow-credentials"], "true");
        assert_eq!(
            (&answer["access-control-expose-headers"], &answer["vary"]),
            (&"x-b".parse().unwrap(), &"origin".parse().unwrap())
        );
    }

    #[test]
    fn origins_fit_by_whole_labels() {
        for (pattern, origin, fits) in [
            ("*", "null", true),
            ("https://*.a.example", "https://b.a.example", true),
            ("https://*.a.example", "https://a.example", false),
            ("https://*.a.example", "http://b.a.example", false),
            ("https://*.a.example", "https://ba.example", false),
            ("https://a.example", "https://a.example:81", false),
        ] {
            assert_eq!(origin_fits(pattern, origin), fits, "{pattern} {origin}");
        }
    }
}
