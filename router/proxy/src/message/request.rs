use super::{
    fields::Fields,
    outline::{Outline, Place},
};
use hyper::{
    Method, Uri, Version,
    http::{request, uri::PathAndQuery},
};
use std::borrow::Cow;

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// What the client speaks.
    pub version: Version,
    /// The lines of the head; `host` is among them whatever the client speaks.
    pub fields: Fields,
    /// The target, in the text of the fields.
    target: Place,
}

// === impl Request ===

impl Request {
    /// A request for `target`, which is a path with or without a query, or `*`. `None`: it is none.
    #[must_use]
    pub fn new(method: Method, target: &[u8], version: Version, mut fields: Fields) -> Option<Self> {
        let target = if is_plain(target) { fields.put(target) } else { fields.put(&unusual(target)?) };
        Some(Self { method, version, fields, target })
    }

    /// The request of HTTP/1.1 whose head this is. `None`: its method or target is unusual, and may be none.
    pub(crate) fn of_head(head: &[u8], outline: &mut Outline) -> Option<Self> {
        let (method, target) = (outline.method.in_bytes(head), outline.target);
        if !is_plain(target.in_bytes(head)) {
            return None;
        }
        let method = Method::from_bytes(method).ok()?;
        Some(Self { method, version: Version::HTTP_11, fields: Fields::of_head(head, outline), target })
    }

    /// Path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        // What was checked is ASCII.
        std::str::from_utf8(self.target.in_bytes(&self.fields.text)).unwrap_or("/")
    }

    /// What comes before the question mark.
    #[must_use]
    pub fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// What comes after the question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// Another path with the same query; nothing changes where `path` is none.
    pub fn set_path(&mut self, path: &str) {
        let target = match self.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        if is_plain(target.as_bytes()) {
            self.target = self.fields.put(target.as_bytes());
        } else if let Some(target) = unusual(target.as_bytes()) {
            self.target = self.fields.put(&target);
        }
    }
}

impl From<request::Parts> for Request {
    fn from(parts: request::Parts) -> Self {
        let mut fields = Fields::from(&parts.headers);
        // HTTP/1.0 may name the host in the target alone.
        if let Some(authority) = parts.uri.authority().filter(|_| !fields.contains("host")) {
            fields.append("host", authority.as_str().as_bytes());
        }
        let target = fields.put(origin_form(&parts).as_bytes());
        Self { method: parts.method, version: parts.version, fields, target }
    }
}

/// The target without scheme and authority (RFC 9112 §3.2.1).
fn origin_form(parts: &request::Parts) -> Cow<'_, str> {
    match parts.uri.path_and_query().map_or("/", PathAndQuery::as_str) {
        query if query.starts_with('?') => Cow::Owned(format!("/{query}")),
        target => Cow::Borrowed(target),
    }
}

/// Whether a target has a path and is made of nothing but what RFC 3986 allows in paths and queries.
fn is_plain(target: &[u8]) -> bool {
    target.first() == Some(&b'/') && target.iter().all(|&byte| PLAIN[usize::from(byte)])
}

/// One load instead of several comparisons for each byte.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'
            | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' | b'/' | b'?' | b'%');
        byte += 1;
    }
    table
};

/// Clients send other characters as well; `http` knows which are harmless. It would leave a fragment out without a word,
/// and takes letters beyond ASCII, which servers read in different ways.
fn unusual(target: &[u8]) -> Option<Vec<u8>> {
    let is_shown = target.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#');
    let target = Some(target).filter(|_| is_shown)?;
    let uri = Uri::try_from(target).ok().filter(|uri| uri.authority().is_none())?;
    let target = uri.path_and_query()?.as_str();
    (target.starts_with('/') || target == "*").then(|| target.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Option<Request> {
        Request::new(Method::GET, target.as_bytes(), Version::HTTP_11, Fields::default())
    }

    #[test]
    fn a_target_has_a_path_and_may_have_a_query() {
        let parts = |target| {
            request(target).map(|request| (request.path().to_owned(), request.query().map(str::to_owned)))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts("/a%2Fb?c?d"), Some(("/a%2Fb".to_owned(), some("c?d"))));
        assert_eq!(parts("/?"), Some(("/".to_owned(), some(""))));
        assert_eq!(parts("/\"{|}"), Some(("/\"{|}".to_owned(), None)), "not in RFC 3986, but sent");
        assert_eq!(parts("*"), Some(("*".to_owned(), None)));
        for bad in
            ["", "a", "?", "/<", "/a b", "http://a/", "//\u{e4}\0", "/#", "/a?b#c", "/\u{e4}", "/?\x7f"]
        {
            assert_eq!(parts(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_whole_uri_becomes_a_path_and_a_host() {
        let request =
            |uri: &str| Request::from(hyper::Request::builder().uri(uri).body(()).unwrap().into_parts().0);
        for (uri, target) in [("http://a", "/"), ("http://a?b", "/?b"), ("http://a/b?c", "/b?c")] {
            let request = request(uri);
            assert_eq!((request.target(), request.fields.get_str("host")), (target, Some("a")), "{uri}");
        }
        for target in ["/", "/a?b", "*"] {
            assert_eq!((request(target).target(), request(target).fields.len()), (target, 0));
        }
    }

    #[test]
    fn a_new_path_keeps_the_query() {
        let mut request = request("/a?b").unwrap();
        request.set_path("/c/d");
        assert_eq!(request.target(), "/c/d?b");
        request.set_path("/ ");
        assert_eq!(request.target(), "/c/d?b", "that is no path");
    }
}
