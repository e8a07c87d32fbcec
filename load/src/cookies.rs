//! The cookies of one virtual user, for the one address that there is.

use hyper::header::HeaderValue;

/// A small cookie jar (RFC 6265): names, values and removal; attributes other than `Max-Age` are not needed
/// for one host and short runs.
#[derive(Clone, Debug, Default)]
pub struct Cookies(Vec<(String, String)>);

/// Most cookies a server may set for one user.
const COUNT_MAX: usize = 50;
/// Longest cookie in bytes, as in browsers.
const LENGTH_MAX: usize = 4096;

impl Cookies {
    /// Keeps, replaces or removes the cookie of one `Set-Cookie` header.
    pub fn absorb(&mut self, header: &HeaderValue) {
        let Ok(text) = header.to_str() else { return };
        let mut parts = text.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let (name, value) = (name.trim(), value.trim());
        self.0.retain(|(known, _)| known != name);
        let ended = parts.any(is_end);
        if !ended && !name.is_empty() && text.len() <= LENGTH_MAX && self.0.len() < COUNT_MAX {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The value of `Cookie`, if there is any cookie.
    pub fn header(&self) -> Option<HeaderValue> {
        let text: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if text.is_empty() { None } else { HeaderValue::from_str(&text.join("; ")).ok() }
    }
}

/// Whether the attribute removes the cookie: `Max-Age` of 0 or less, or `Expires` at the epoch, which is how
/// frameworks write a removal.
fn is_end(attribute: &str) -> bool {
    let Some((name, value)) = attribute.split_once('=') else { return false };
    match name.trim().to_ascii_lowercase().as_str() {
        "max-age" => value.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0),
        "expires" => value.contains("1970"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_replaced_and_removed() {
        let mut cookies = Cookies::default();
        assert_eq!(cookies.header(), None);
        for text in ["a=1; Path=/; HttpOnly", "b=2", "a=3; Max-Age=60", "b=; Max-Age=0", "broken", "=x"] {
            cookies.absorb(&HeaderValue::from_static(text));
        }
        assert_eq!(cookies.header().unwrap(), "a=3");
        cookies.absorb(&HeaderValue::from_static("a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(cookies.header(), None);
    }

    #[test]
    fn a_server_can_not_fill_the_memory() {
        let mut cookies = Cookies::default();
        for n in 0..1_000 {
            cookies.absorb(&HeaderValue::from_str(&format!("c{n}={}", "x".repeat(100))).unwrap());
        }
        assert_eq!(cookies.0.len(), COUNT_MAX);
    }
}
