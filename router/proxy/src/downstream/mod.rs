//! The side of the clients: sockets, what may come in, and deadlines for whoever is slow.

mod client;
mod connection;
pub(crate) mod gate;
mod gated;
mod h2;
mod linger;
mod simple;
mod splice;
mod transport;
mod tunnel;
mod upload;

pub use client::Patience;
pub(crate) use client::{Busy, Client};
pub(crate) use connection::serve;
use gate::REFUSED_METHOD;
pub(crate) use gate::Refusal;
pub(crate) use h2::Incoming as StreamBody;
pub(crate) use splice::Pipe;
pub(crate) use tunnel::Tunnel;
pub(crate) use upload::{Incoming, Upload};
