use super::fields::Fields;
use hyper::StatusCode;

/// The head of an answer, and its body.
#[derive(Debug)]
pub(crate) struct Response<B> {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    pub(crate) body: B,
}

// === impl Response ===

impl<B> Response<B> {
    /// An answer without lines.
    pub(crate) fn new(status: StatusCode, body: B) -> Self {
        Self { status, fields: Fields::default(), body }
    }

    /// The same answer with another body.
    pub(crate) fn with<C>(self, body: C) -> Response<C> {
        Response { status: self.status, fields: self.fields, body }
    }

    /// The same for hyper.
    pub(crate) fn into_hyper(self) -> hyper::Response<B> {
        let mut response = hyper::Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields.to_map();
        response
    }
}
