use crate::config::{
    Cors, FilterSpec, HeaderEdits, PathEdit, RequestMirror, RequestRedirect, Scheme, UrlRewrite,
};
use crate::message::{Fields, Request};
use hyper::{Method, StatusCode};

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

    /// Whether the router may have an answer of its own.
    #[must_use]
    pub const fn may_answer(&self) -> bool {
        self.cors.is_some() || self.redirect.is_some()
    }

    /// Whether the target of a request may change.
    #[must_use]
    pub const fn may_rewrite(&self) -> bool {
        self.rewrite.is_some()
    }

    /// The router's own answer, where the filters have one: a preflight or a redirect.
    #[must_use]
    pub fn answer(
        &self,
        request: &Request,
        (scheme, host): (&str, &str),
        prefix: &str,
    ) -> Option<(StatusCode, Fields)> {
        let is_preflight =
            request.method == Method::OPTIONS && request.fields.contains("access-control-request-method");
        if let Some(cors) = self.cors.as_ref().filter(|_| is_preflight) {
            return Some((StatusCode::NO_CONTENT, preflight(cors, &request.fields)));
        }
        let redirect = self.redirect.as_ref()?;
        let location = location(redirect, request, (scheme, host), prefix);
        let status = StatusCode::from_u16(redirect.status_code.0).unwrap_or(StatusCode::FOUND);
        let mut fields = Fields::default();
        fields.append("location", location.as_bytes());
        Some((status, fields))
    }

    /// Changes the path before the request is sent; the new host where there is one.
    #[must_use]
    pub fn rewrite(&self, request: &mut Request, prefix: &str) -> Option<String> {
        let rewrite = self.rewrite.as_ref()?;
        // A question about the server as a whole has no path.
        if let Some(path) = rewrite.path.as_ref().filter(|_| request.path() != "*") {
            request.set_path(&edited_path(path, request.path(), prefix));
        }
        Some(rewrite.hostname.as_ref()?.as_str().to_owned())
    }

    /// Whether backends do not get this header, which is in lower case.
    #[must_use]
    pub fn removes(&self, name: &str) -> bool {
        self.request.iter().flat_map(|edits| &edits.remove).any(|removed| removed.get() == name)
    }

    /// Changes the answer before it is passed on; `origin` is that of the request.
    pub fn edit_response(&self, fields: &mut Fields, origin: Option<&str>) {
        if let Some(cors) = &self.cors {
            allow_origin(cors, fields, origin);
            list(fields, "access-control-expose-headers", &cors.expose_headers);
        }
        self.response.iter().for_each(|edits| edit(edits, fields));
    }
}

/// Set, then add, then remove.
pub(crate) fn edit(edits: &HeaderEdits, fields: &mut Fields) {
    for header in &edits.set {
        fields.insert(header.name.get().as_str(), header.value.get().as_bytes());
    }
    for header in &edits.add {
        fields.append(header.name.get().as_str(), header.value.get().as_bytes());
    }
    for name in &edits.remove {
        fields.remove(name.get().as_str());
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

fn location(
    redirect: &RequestRedirect,
    request: &Request,
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
    // What asks about the server as a whole has no path, and a place needs one.
    let asked = if request.path() == "*" { "/" } else { request.path() };
    let path = redirect.path.as_ref().map(|edit| edited_path(edit, asked, prefix));
    let path = path.as_deref().unwrap_or(asked);
    let port = match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{name}{port}{path}{query}")
}

fn preflight(cors: &Cors, request: &Fields) -> Fields {
    let mut fields = Fields::default();
    if !allow_origin(cors, &mut fields, request.get_str("origin")) {
        return fields;
    }
    // Beside cookies a star means itself; so what was asked for is repeated.
    let answer = |allowed: &[String], asked: &str| match request.get_str(asked) {
        Some(asked) if allowed.iter().any(|item| item == "*") => vec![asked.to_owned()],
        _ => allowed.to_vec(),
    };
    let methods = answer(&cors.allow_methods, "access-control-request-method");
    list(&mut fields, "access-control-allow-methods", &methods);
    let names = answer(&cors.allow_headers, "access-control-request-headers");
    list(&mut fields, "access-control-allow-headers", &names);
    let max_age = cors.max_age.unwrap_or(DEFAULT_MAX_AGE_S);
    fields.insert("access-control-max-age", max_age.to_string().as_bytes());
    fields
}

/// Names the origin when it is allowed; whether it is.
fn allow_origin(cors: &Cors, fields: &mut Fields, origin: Option<&str>) -> bool {
    let allowed = |origin: &&str| cors.allow_origins.iter().any(|pattern| origin_fits(pattern, origin));
    fields.append("vary", b"origin");
    let Some(origin) = origin.filter(allowed) else { return false };
    fields.insert("access-control-allow-origin", origin.as_bytes());
    if cors.allow_credentials {
        fields.insert("access-control-allow-credentials", b"true");
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

fn list(fields: &mut Fields, name: &str, items: &[String]) {
    if !items.is_empty() {
        fields.insert(name, items.join(", ").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_yaml;
    use hyper::Version;

    fn filters(yaml: &str) -> Filters {
        let yaml = format!("routes: [{{name: r, backends: [{{name: b, track: stable}}], filters: {yaml}}}]");
        Filters::new(&from_yaml("test", &yaml).unwrap().routes[0].filters)
    }

    fn asked(target: &str) -> Request {
        let mut fields = Fields::default();
        fields.append("origin", b"https://shop.example");
        fields.append("x-old", b"1");
        Request::new(Method::GET, target.as_bytes(), Version::HTTP_11, fields).unwrap()
    }

    fn redirected(yaml: &str, uri: &str, host: &str) -> String {
        let answer =
            filters(&format!("[{{requestRedirect: {yaml}}}]")).answer(&asked(uri), ("http", host), "/old");
        answer.unwrap().1.get_str("location").unwrap().to_owned()
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
    fn a_rewrite_changes_host_and_path_and_edits_change_headers() {
        let filters = filters(
            "[{requestHeaderModifier: {set: [{name: x-old, value: '2'}], add: [{name: X-Old, value: '3'}], \
             remove: [origin]}}, {urlRewrite: {hostname: in.example, path: {replacePrefixMatch: /new}}}]",
        );
        let mut request = asked("/old/a?b");
        assert_eq!(filters.rewrite(&mut request, "/old").unwrap(), "in.example");
        assert_eq!(request.target(), "/new/a?b");
        edit(&filters.request[0], &mut request.fields);
        let values: Vec<_> = request.fields.get_all("x-old").collect();
        assert!(values == [b"2", b"3"] && !request.fields.contains("origin"), "{:?}", request.fields);
    }

    #[test]
    fn other_origins_are_told_what_they_may() {
        let cors = filters(
            "[{cors: {allowOrigins: ['https://*.shop.example', 'https://shop.example'], allowMethods: ['*'], \
             allowHeaders: [x-a], allowCredentials: true, exposeHeaders: [x-b]}}]",
        );
        let mut preflight = asked("/");
        preflight.method = Method::OPTIONS;
        preflight.fields.insert("access-control-request-method", b"PATCH");
        let (status, fields) = cors.answer(&preflight, ("http", "x"), "").unwrap();
        assert_eq!(
            (status, fields.get_str("access-control-allow-methods")),
            (StatusCode::NO_CONTENT, Some("PATCH"))
        );
        assert_eq!(fields.get_str("access-control-allow-origin"), Some("https://shop.example"));
        preflight.fields.insert("origin", b"https://evilshop.example");
        let (_, fields) = cors.answer(&preflight, ("http", "x"), "").unwrap();
        assert!(!fields.contains("access-control-allow-origin"));

        let mut answer = Fields::default();
        cors.edit_response(&mut answer, Some("https://a.shop.example"));
        assert_eq!(answer.get_str("access-control-allow-credentials"), Some("true"));
        assert_eq!(
            (answer.get_str("access-control-expose-headers"), answer.get_str("vary")),
            (Some("x-b"), Some("origin"))
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
