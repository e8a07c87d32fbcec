//! The least that any proxy has to do on this machine: each client's connection has one to an origin, and bytes are
//! copied between the two. Nothing is parsed, so nothing can be chosen, retried or counted.

use crate::events::{Events, Interest};
use anyhow::Context;
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

/// One end of a relay. The other end has the number that differs in the last bit.
struct End {
    stream: TcpStream,
    /// Read here and not yet written to the other end.
    left: Vec<u8>,
    interest: Interest,
}

/// The number of the listener; the ends begin at 2, so that partners are neighbours.
const LISTENER: usize = 0;
const FIRST: usize = 2;

struct Relay {
    events: Events,
    ends: Vec<Option<End>>,
    origins: [u16; 3],
    accepted: usize,
}

/// Serves until it is killed.
pub fn run(port: u16, origins: [u16; 3]) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("port {port}"))?;
    let mut relay = Relay { events: Events::new()?, ends: Vec::new(), origins, accepted: 0 };
    relay.events.add(&listener, LISTENER, Interest::IN)?;
    let (mut ready, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        relay.events.wait(&mut ready, None)?;
        for &number in &ready {
            match number.checked_sub(FIRST) {
                None => relay.accept(&listener)?,
                Some(place) => {
                    if relay.copy(place, &mut buffer).is_err() {
                        relay.close(place);
                    }
                }
            }
        }
    }
}

// === impl Relay ===

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> anyhow::Result<()> {
        let (client, _) = listener.accept()?;
        let port = self.origins.get(self.accepted % self.origins.len()).copied().unwrap_or_default();
        let origin = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("the origin")?;
        self.accepted += 1;
        for stream in [client, origin] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            self.events.add(&stream, FIRST + self.ends.len(), Interest::IN)?;
            self.ends.push(Some(End { stream, left: Vec::new(), interest: Interest::IN }));
        }
        Ok(())
    }

    /// Moves bytes from here to the other end, and what was left over from there to here.
    fn copy(&mut self, place: usize, buffer: &mut [u8]) -> io::Result<()> {
        let closed = || io::Error::from(ErrorKind::ConnectionReset);
        let (mut here, mut there) = match (self.take(place), self.take(place ^ 1)) {
            (Some(here), Some(there)) => (here, there),
            _ => return Err(closed()),
        };
        if !there.left.is_empty() {
            let written = here.stream.write(&there.left)?;
            there.left.drain(..written);
        } else if here.left.is_empty() {
            let count = match here.stream.read(buffer) {
                Ok(0) => return Err(closed()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                result => result?,
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            let written = if count == 0 { 0 } else { written(&mut there.stream, bytes)? };
            here.left.extend_from_slice(bytes.get(written..).unwrap_or_default());
        }
        self.watch(place, &mut here, &there)?;
        self.watch(place ^ 1, &mut there, &here)?;
        self.put(place, here);
        self.put(place ^ 1, there);
        Ok(())
    }

    /// An end is read while nothing is left of it, and written while something is left of its partner.
    fn watch(&self, place: usize, end: &mut End, partner: &End) -> io::Result<()> {
        let mut wanted = Interest::empty();
        wanted.set(Interest::IN, end.left.is_empty());
        wanted.set(Interest::OUT, !partner.left.is_empty());
        if wanted != end.interest {
            end.interest = wanted;
            self.events.change(&end.stream, FIRST + place, wanted)?;
        }
        Ok(())
    }

    fn take(&mut self, place: usize) -> Option<End> {
        self.ends.get_mut(place)?.take()
    }

    fn put(&mut self, place: usize, end: End) {
        if let Some(slot) = self.ends.get_mut(place) {
            *slot = Some(end);
        }
    }

    fn close(&mut self, place: usize) {
        drop((self.take(place), self.take(place ^ 1)));
    }
}

fn written(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
