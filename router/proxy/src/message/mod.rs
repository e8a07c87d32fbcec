//! Messages as the router holds them between a client and a backend, whatever version of HTTP either speaks.
//!
//! `http::HeaderMap` hashes each name and owns each value; a proxy looks for a few names once and passes the rest on.
//! Here a head is one buffer with a list of places in it, so that taking it in, looking at it and passing it on costs
//! little more than copying it.

mod fields;
mod outline;
mod request;
mod response;
mod spare;

pub use fields::Fields;
pub(crate) use outline::{Outline, Place};
pub use request::Request;
pub(crate) use response::Response;
