//! The origin: two replicas of stable and one of the canary, in one thread. It answers from memory and is as cheap as
//! can be, because it shares its core with the load.

use crate::events::{Events, Interest};
use anyhow::Context;
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

/// Where the replicas listen: two of stable, one of the canary.
pub const PORTS: [u16; 3] = [18_900, 18_901, 18_902];

/// The path of the large answer; every other path gets the tiny one.
pub const LARGE: &str = "/64k";

/// Requests that came to each of [`PORTS`].
static REQUESTS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// The body of the tiny answer.
pub const TINY: &str = "hello, world\n";

const LARGE_BYTES: usize = 64 * 1024;

/// How long the answer to a path is.
pub fn body_of(path: &str) -> usize {
    if path.starts_with(LARGE) { LARGE_BYTES } else { TINY.len() }
}

/// The replicas and their connections.
struct Origin {
    events: Events,
    listeners: Vec<TcpListener>,
    clients: Vec<Option<Client>>,
    tiny: Vec<u8>,
    large: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    /// The place of its port in [`PORTS`].
    replica: usize,
    /// The part of a head that has come so far.
    head: Vec<u8>,
    /// What is not written yet.
    left: Vec<u8>,
    interest: Interest,
}

/// Starts the origin.
pub fn start() -> anyhow::Result<()> {
    let listen =
        |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("port {port}"));
    let listeners = PORTS.into_iter().map(listen).collect::<Result<Vec<_>, _>>()?;
    thread::Builder::new().name("origin".into()).spawn(move || {
        if let Err(error) = Origin::new(listeners).and_then(Origin::serve) {
            eprintln!("the origin ended: {error}");
        }
    })?;
    Ok(())
}

/// Requests so far: all of them, and those to the canary.
pub fn requests() -> (u64, u64) {
    let [first, second, canary] = REQUESTS.each_ref().map(|count| count.load(Relaxed));
    (first + second + canary, canary)
}

fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\nx-app-version: v1\r\n";
    format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes()
}

// === impl Origin ===

impl Origin {
    fn new(listeners: Vec<TcpListener>) -> io::Result<Self> {
        let events = Events::new()?;
        for (number, listener) in listeners.iter().enumerate() {
            listener.set_nonblocking(true)?;
            events.add(listener, number, Interest::IN)?;
        }
        let (tiny, large) = (answer(TINY), answer(&"x".repeat(LARGE_BYTES)));
        Ok(Self { events, listeners, clients: Vec::new(), tiny, large })
    }

    fn serve(mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            self.events.wait(&mut ready, None)?;
            for &number in &ready {
                match number.checked_sub(PORTS.len()) {
                    None => self.accept(number),
                    Some(place) => self.progress(place, &mut buffer),
                }
            }
        }
    }

    fn accept(&mut self, number: usize) {
        let Some(Ok((stream, _))) = self.listeners.get(number).map(TcpListener::accept) else { return };
        let free = self.clients.iter().position(Option::is_none);
        let place = free.unwrap_or(self.clients.len());
        let is_ready = stream.set_nonblocking(true).is_ok()
            && stream.set_nodelay(true).is_ok()
            && self.events.add(&stream, place + PORTS.len(), Interest::IN).is_ok();
        let client =
            Client { stream, replica: number, head: Vec::new(), left: Vec::new(), interest: Interest::IN };
        let client = is_ready.then_some(client);
        match self.clients.get_mut(place) {
            Some(slot) => *slot = client,
            None => self.clients.push(client),
        }
    }

    /// Reads, answers every whole request, writes. A client that breaks is let go.
    fn progress(&mut self, place: usize, buffer: &mut [u8]) {
        let Some(Some(client)) = self.clients.get_mut(place) else { return };
        let mut is_open = true;
        if client.left.is_empty() {
            is_open = match client.stream.read(buffer) {
                Ok(0) => false,
                Ok(count) => {
                    client.take(buffer.get(..count).unwrap_or_default(), &self.tiny, &self.large);
                    true
                }
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            };
        } else if let Err(error) = client.flush() {
            is_open = error.kind() == ErrorKind::WouldBlock;
        }
        let wanted = if client.left.is_empty() { Interest::IN } else { Interest::OUT };
        if is_open && wanted != client.interest {
            client.interest = wanted;
            is_open = self.events.change(&client.stream, place + PORTS.len(), wanted).is_ok();
        }
        if !is_open && let Some(slot) = self.clients.get_mut(place) {
            *slot = None;
        }
    }
}

// === impl Client ===

impl Client {
    fn take(&mut self, bytes: &[u8], tiny: &[u8], large: &[u8]) {
        let whole = if self.head.is_empty() && bytes.ends_with(b"\r\n\r\n") {
            bytes.to_vec()
        } else {
            self.head.extend_from_slice(bytes);
            let Some(end) = memchr::memmem::rfind(&self.head, b"\r\n\r\n") else { return };
            self.head.drain(..end + 4).collect()
        };
        for head in memchr::memmem::find_iter(&whole, b"\r\n\r\n").scan(0, |from, end| {
            let head = whole.get(*from..end);
            *from = end + 4;
            head
        }) {
            if let Some(count) = REQUESTS.get(self.replica) {
                count.fetch_add(1, Relaxed);
            }
            let is_large = head.get(4..).is_some_and(|target| target.starts_with(LARGE.as_bytes()));
            let answer = if is_large { large } else { tiny };
            let written = if self.left.is_empty() { self.stream.write(answer).unwrap_or(0) } else { 0 };
            self.left.extend_from_slice(answer.get(written..).unwrap_or_default());
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.stream.write(&self.left)?;
        self.left.drain(..written);
        Ok(())
    }
}
