//! HTTP/2 without TLS towards backends that ask for it (h2c with prior knowledge, RFC 9113 §3.3).
//!
//! Requests share connections. hyper drives each connection in a task of this thread; what is ours is which connection
//! a request goes by, how many share one, and what an error says about the request.

mod answer;
mod connection;
mod io;
mod pool;
mod sent;

pub(crate) use answer::Answer;
pub(crate) use connection::Lease;
pub(crate) use pool::{Pool, lease};
pub(crate) use sent::Sent;
