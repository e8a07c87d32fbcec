//! The load over HTTP/2 at a fixed rate, as [`driver`](crate::driver) is over HTTP/1.1. h2load can't do this: its timers
//! fire a hundred times a second at most, many connections' at once, and what is late is not counted as late.

use crate::{
    driver::Outcome,
    events::{Events, Interest},
    origin::TINY,
};
use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

/// Connections that each carry as many requests at a time as are due.
pub struct DriverH2 {
    events: Events,
    port: u16,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    next_id: u32,
    under_way: Vec<Request>,
    /// The part of a frame that has come so far.
    left: Vec<u8>,
}

struct Request {
    id: u32,
    due: Instant,
    /// Bytes of the body that are still to come.
    body: usize,
}

/// The preface, settings without a change, and the largest window for the connection.
const HELLO: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0";

/// What the other driver sends, by HPACK's fixed table. The first request of a connection puts four fields into the
/// table of the peer, as browsers do, and the later ones refer to them.
const FIRST: &[u8] = b"\x82\x86\x84\x41\x0cblog.example\x7a\x07bench/1\x53\x03*/*\x51\x02en";
const LATER: &[u8] = b"\x82\x86\x84\xc1\xc0\xbf\xbe";

/// How a block of fields begins whose status is 200.
const OK: u8 = 0x88;

// The types of frames and their flags (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

// === impl DriverH2 ===

impl DriverH2 {
    /// Opens the connections.
    pub fn connect(port: u16, count: usize) -> anyhow::Result<Self> {
        let mut driver =
            Self { events: Events::new()?, port, connections: Vec::new(), buffer: vec![0; 64 * 1024] };
        driver.grow(count)?;
        Ok(driver)
    }

    /// Opens more connections, until there are `count`.
    pub fn grow(&mut self, count: usize) -> anyhow::Result<()> {
        for number in self.connections.len()..count {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("the proxy")?;
            stream.write_all(HELLO)?;
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            self.events.add(&stream, number, Interest::IN)?;
            self.connections.push(Connection { stream, next_id: 1, under_way: Vec::new(), left: Vec::new() });
        }
        Ok(())
    }

    /// One request on every connection.
    pub fn touch(&mut self) -> anyhow::Result<()> {
        let count = u32::try_from(self.connections.len())?;
        self.send_all((Duration::ZERO, count)).map(drop)
    }

    /// Sends so many requests a second, whatever has become of earlier ones, and waits for the last answers.
    pub fn run(&mut self, rate: f64, length: Duration) -> anyhow::Result<Outcome> {
        self.send_all((Duration::from_secs_f64(1.0 / rate), (rate * length.as_secs_f64()) as u32))
    }

    /// Sends `count` requests, one on each connection in turn, and waits for the last answers.
    fn send_all(&mut self, (interval, count): (Duration, u32)) -> anyhow::Result<Outcome> {
        let start = Instant::now();
        let due = |number: u32| start + interval * number;
        let (mut sent, mut ready, mut latency) = (0, Vec::new(), Histogram::new(3)?);
        while latency.len() < u64::from(count) {
            while sent < count && due(sent) <= Instant::now() {
                let turn = sent as usize % self.connections.len();
                self.connections.get_mut(turn).context("no connection")?.send(due(sent))?;
                sent += 1;
            }
            let is_over = sent == count;
            let wait = due(sent).saturating_duration_since(Instant::now());
            self.events.wait(&mut ready, Some(if is_over { Duration::from_secs(10) } else { wait }))?;
            ensure!(!(is_over && ready.is_empty()), "no answer within 10 s");
            let now = Instant::now();
            for &number in &ready {
                let connection = self.connections.get_mut(number).context("no such connection")?;
                connection.read(&mut self.buffer, |due| {
                    let latency_ns = (now - due).as_nanos();
                    Ok(latency.record(u64::try_from(latency_ns).unwrap_or(u64::MAX))?)
                })?;
            }
        }
        Ok(Outcome { requests: u64::from(count), took: start.elapsed(), latency })
    }
}

// === impl Connection ===

impl Connection {
    fn send(&mut self, due: Instant) -> anyhow::Result<()> {
        let (id, block) = (self.next_id, if self.next_id == 1 { FIRST } else { LATER });
        self.next_id += 2;
        self.under_way.push(Request { id, due, body: TINY.len() });
        self.write((HEADERS, END_STREAM | END_HEADERS, id), block)
    }

    fn write(&mut self, (kind, flags, id): (u8, u8, u32), payload: &[u8]) -> anyhow::Result<()> {
        let length = u8::try_from(payload.len()).context("a short frame")?;
        let [a, b, c, d] = id.to_be_bytes();
        let mut frame = [0; 9 + u8::MAX as usize];
        let (head, rest) = frame.split_at_mut(9);
        head.copy_from_slice(&[0, 0, length, kind, flags, a, b, c, d]);
        rest.iter_mut().zip(payload).for_each(|(to, from)| *to = *from);
        let frame = frame.get(..9 + payload.len()).unwrap_or_default();
        ensure!(self.stream.write(frame)? == frame.len(), "a frame was cut short");
        Ok(())
    }

    /// Reads on, and calls `done` with the moment at which each request was due whose answer is complete.
    fn read(
        &mut self,
        buffer: &mut [u8],
        mut done: impl FnMut(Instant) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let count = match self.stream.read(buffer) {
            Ok(0) => bail!("the connection closed"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            result => result?,
        };
        let mut left = std::mem::take(&mut self.left);
        left.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let mut rest = left.as_slice();
        while let Some((&[a, b, c, kind, flags, ref id @ ..], after)) = rest.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            rest = after;
            if let Some(due) = self.take((kind, flags, u32::from_be_bytes(*id)), payload)? {
                done(due)?;
            }
        }
        let taken = left.len() - rest.len();
        left.drain(..taken);
        self.left = left;
        Ok(())
    }

    /// Takes a frame; when it ends an answer, when its request was due. Anything but the whole tiny answer with 200 voids
    /// the round.
    fn take(&mut self, (kind, flags, id): (u8, u8, u32), payload: &[u8]) -> anyhow::Result<Option<Instant>> {
        match kind {
            HEADERS | DATA => {
                let place = self.under_way.iter().position(|request| request.id == id);
                let place = place.context("an answer that nobody asked for")?;
                let request = self.under_way.get_mut(place).context("no such request")?;
                if kind == HEADERS {
                    ensure!(payload.first() == Some(&OK), "the status is not 200");
                } else {
                    request.body =
                        request.body.checked_sub(payload.len()).context("the answer is too long")?;
                }
                if flags & END_STREAM == 0 {
                    return Ok(None);
                }
                ensure!(request.body == 0, "the answer is too short");
                return Ok(Some(self.under_way.swap_remove(place).due));
            }
            SETTINGS if flags & ACK == 0 => self.write((SETTINGS, ACK, 0), &[])?,
            PING if flags & ACK == 0 => self.write((PING, ACK, 0), payload)?,
            RST_STREAM | GOAWAY => bail!("a request was refused"),
            _ => {}
        }
        Ok(None)
    }
}
