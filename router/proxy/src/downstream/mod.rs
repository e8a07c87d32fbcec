//! The side of the clients: sockets, what may come in, and deadlines for whoever is slow.

mod client;
mod connection;
pub(crate) mod gate;
mod io;
mod tunnel;

pub use client::Patience;
pub(crate) use client::{Busy, Client};
pub(crate) use connection::serve;
pub(crate) use gate::REFUSED_METHOD;
pub(crate) use tunnel::Tunnel;
