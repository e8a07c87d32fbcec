use super::refusal;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use std::{fmt, fs, io, net::SocketAddr, path::Path, sync::Arc};
use subtle::ConstantTimeEq;

/// Who may do what on the admin port. Probes and metrics are for everybody who reaches it.
#[derive(Clone, Debug)]
pub enum Access {
    /// Whoever is on this machine may do everything.
    Local,
    /// Whoever reaches the port may read; nobody may change anything.
    ReadOnly,
    /// Whoever knows the token may do everything, others nothing.
    Token(Token),
}

/// A secret that is not printed.
#[derive(Clone)]
pub struct Token(Arc<str>);

/// Why a token can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file can't be read.
    #[error("--admin-token-file {0:?}: {1}; make it readable for the router")]
    File(String, io::Error),
    /// Guessable, or not to be sent in a header.
    #[error(
        "the admin token has {0} usable characters; write at least {TOKEN_CHARS_MIN} visible ASCII characters"
    )]
    Weak(usize),
}

/// As many as 96 random bits have in Base64.
const TOKEN_CHARS_MIN: usize = 16;

// === impl Access ===

impl Access {
    /// With the token where there is one, else by the address of the admin port.
    ///
    /// # Errors
    /// The token can't be read or is too short.
    pub fn new(file: Option<&Path>, token: Option<&str>, address: SocketAddr) -> Result<Self, TokenError> {
        let of_file = |path: &Path| {
            fs::read_to_string(path).map_err(|error| TokenError::File(path.display().to_string(), error))
        };
        let token = match (file.map(of_file).transpose()?, token) {
            (Some(text), _) => Some(text),
            (None, token) => token.map(str::to_owned),
        };
        match token {
            Some(text) => Token::new(text.trim()).map(Self::Token),
            None if address.ip().is_loopback() => Ok(Self::Local),
            None => Ok(Self::ReadOnly),
        }
    }

    fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        match self {
            Self::Local => Ok(()),
            Self::ReadOnly if matches!(*method, Method::GET | Method::HEAD) => Ok(()),
            Self::ReadOnly => Err((
                StatusCode::FORBIDDEN,
                "the admin port is reachable from elsewhere and has no token, so that it only answers GET; \
                 set --admin-token-file, or listen on loopback",
            )),
            Self::Token(token) if token.is_in(headers) => Ok(()),
            Self::Token(_) => Err((
                StatusCode::UNAUTHORIZED,
                "write the admin token into the request: Authorization: Bearer TOKEN",
            )),
        }
    }
}

/// Lets through what may pass.
pub(super) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, why)) => refusal(status, why.to_owned()),
    }
}

// === impl Token ===

impl Token {
    fn new(text: &str) -> Result<Self, TokenError> {
        let usable = text.bytes().filter(u8::is_ascii_graphic).count();
        if usable < TOKEN_CHARS_MIN || usable != text.len() {
            return Err(TokenError::Weak(usable));
        }
        Ok(Self(text.into()))
    }

    /// Takes as long for a wrong token as for the right one.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let (scheme, rest) = value.split_at(value.len().min(b"bearer ".len()));
        scheme.eq_ignore_ascii_case(b"bearer ") && rest.ct_eq(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_never_printed() {
        let address = "127.0.0.1:1".parse().unwrap();
        for bad in ["", "short", "0123456789abcde", "0123456789 abcdef"] {
            let error = Access::new(None, Some(bad), address).unwrap_err().to_string();
            assert!(error.contains("at least 16"), "{error}");
        }
        let access = Access::new(None, Some("0123456789abcdef\n"), address).unwrap();
        assert_eq!(format!("{access:?}"), "Token(Token(…))");
    }

    #[test]
    fn only_the_whole_token_passes() {
        let access = Access::new(None, Some("0123456789abcdef"), "0.0.0.0:1".parse().unwrap()).unwrap();
        let with = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            access.check(&Method::GET, &headers).is_ok()
        };
        assert!(with("Bearer 0123456789abcdef") && with("bearer 0123456789abcdef"));
        for bad in
            ["Bearer 0123456789abcde", "Bearer 0123456789abcdefg", "Basic 0123456789abcdef", "Bearer", ""]
        {
            assert!(!with(bad), "{bad:?}");
        }
        assert!(access.check(&Method::GET, &HeaderMap::new()).is_err());
    }
}
