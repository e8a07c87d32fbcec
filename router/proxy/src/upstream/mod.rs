//! Connections to backends.

mod answering;
mod body;
pub(crate) mod h1;
pub(crate) mod h2;
mod pool;

pub(crate) use answering::Answering;
pub(crate) use body::RequestBody;
pub(crate) use pool::Pool;

/// What went wrong on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// It broke before the answer was complete.
    #[error("the connection broke")]
    Broken,
    /// What came is not HTTP, or can be read in two ways.
    #[error("the answer is malformed")]
    Malformed,
    /// The backend did not look at the request, and says so.
    #[error("the request was refused unseen")]
    Refused,
    /// The body of the request could not be read from the client.
    #[error("the request broke off")]
    Request,
    /// The body of the request came too slowly.
    #[error("the request came too slowly")]
    Slow,
}
