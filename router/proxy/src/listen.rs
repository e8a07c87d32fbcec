//! Sockets, and what to say when a port is taken.

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
};
use tokio::net;

/// Who else may listen on the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The workers of this process only.
    Exclusive,
    /// Other processes of the same user as well: the kernel spreads connections over all of them.
    ReusePort,
}

/// How clients come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// HTTP as it is.
    Plain,
    /// HTTP inside of TLS.
    Tls,
}

/// The ports of one worker.
#[derive(Debug)]
pub struct Listeners<L = TcpListener> {
    /// Where HTTP is spoken as it is.
    pub plain: L,
    /// Where TLS is spoken.
    pub tls: Option<L>,
}

/// A port that can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has it.
    #[error("{address} is taken by another process; stop it or choose another address with {flag}")]
    Taken {
        /// The address.
        address: SocketAddr,
        /// The flag that changes it.
        flag: &'static str,
    },
    /// Anything else.
    #[error("can't listen on {address}: {source}; choose another address with {flag}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// The flag that changes it.
        flag: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// Connections that the kernel keeps until a worker takes them.
const BACKLOG: i32 = 4096;

/// As many as can be waiting, and those that come meanwhile.
const LAST_MAX: usize = 2 * BACKLOG as usize;

/// The ports of each worker; all workers have the same addresses.
///
/// # Errors
/// An address is taken or can't be bound.
pub fn workers(
    plain: SocketAddr,
    tls: Option<SocketAddr>,
    (sharing, count): (Sharing, usize),
) -> Result<Vec<Listeners>, ListenError> {
    let plain = shared((plain, "--listen"), sharing, count)?;
    let tls = tls.map(|tls| shared((tls, "--tls-listen"), sharing, count)).transpose()?;
    let mut tls = tls.into_iter().flatten();
    Ok(plain.into_iter().map(|plain| Listeners { plain, tls: tls.next() }).collect())
}

/// Listeners on one address.
fn shared(
    (address, flag): (SocketAddr, &'static str),
    sharing: Sharing,
    count: usize,
) -> Result<Vec<TcpListener>, ListenError> {
    let error = |source| error(address, flag, source);
    if sharing == Sharing::Exclusive {
        // Workers share the port with SO_REUSEPORT, which would let a second router slip in unnoticed.
        bind(address, Sharing::Exclusive).map_err(error)?;
    }
    let first = bind(address, Sharing::ReusePort).map_err(error)?;
    let bound = first.local_addr().map_err(error)?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(bind(bound, Sharing::ReusePort).map_err(error)?);
    }
    Ok(listeners)
}

/// The admin port's listener.
///
/// # Errors
/// The address is taken or can't be bound.
pub fn admin(address: SocketAddr) -> Result<TcpListener, ListenError> {
    bind(address, Sharing::Exclusive).map_err(|source| error(address, "--admin-listen", source))
}

fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::ReusePort)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

// === impl Listeners ===

impl Listeners {
    /// For the runtime of a worker.
    pub(crate) fn into_async(self) -> io::Result<Listeners<net::TcpListener>> {
        let Self { plain, tls } = self;
        let plain = net::TcpListener::from_std(plain)?;
        Ok(Listeners { plain, tls: tls.map(net::TcpListener::from_std).transpose()? })
    }
}

impl Listeners<net::TcpListener> {
    /// The next connection on any of the ports.
    pub(crate) async fn accept(&self) -> io::Result<((net::TcpStream, SocketAddr), Entry)> {
        let Some(tls) = &self.tls else { return Ok((self.plain.accept().await?, Entry::Plain)) };
        tokio::select! {
            accepted = self.plain.accept() => Ok((accepted?, Entry::Plain)),
            accepted = tls.accept() => Ok((accepted?, Entry::Tls)),
        }
    }

    /// Stops listening; what the kernel has accepted already, which would be reset otherwise.
    ///
    /// The kernel itself is asked, at the last moment: the runtime knows only of what came before it looked.
    pub(crate) fn close(self) -> Vec<((net::TcpStream, SocketAddr), Entry)> {
        let mut accepted = Vec::new();
        let plain = (self.plain, Entry::Plain);
        for (listener, entry) in std::iter::once(plain).chain(self.tls.map(|tls| (tls, Entry::Tls))) {
            let Ok(listener) = listener.into_std() else { continue };
            let last = std::iter::from_fn(|| listener.accept().ok()).take(LAST_MAX);
            accepted.extend(last.map(|connection| (connection, entry)));
        }
        let with_runtime = |(stream, address): (TcpStream, SocketAddr)| {
            stream.set_nonblocking(true).ok()?;
            Some((net::TcpStream::from_std(stream).ok()?, address))
        };
        accepted
            .into_iter()
            .filter_map(|(connection, entry)| Some((with_runtime(connection)?, entry)))
            .collect()
    }
}

fn error(address: SocketAddr, flag: &'static str, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken { address, flag },
        _ => ListenError::Other { address, flag, source },
    }
}
