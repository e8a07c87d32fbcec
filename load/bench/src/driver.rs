//! The load: one thread, as cheap as can be. Every answer is read to its end and its status checked.

use crate::events::{Events, Interest};
use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

/// Connections kept alive over all measurements of a peer.
pub struct Driver {
    events: Events,
    port: u16,
    request: Vec<u8>,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// The next one as soon as a connection has its answer.
    Closed,
    /// So many a second, whatever has become of earlier ones.
    Open(f64),
}

/// What happened in one run.
pub struct Outcome {
    pub requests: u64,
    pub took: Duration,
    /// In nanoseconds, from the moment at which a request was due to the last byte of its answer.
    pub latency: Histogram<u64>,
}

struct Connection {
    stream: TcpStream,
    state: State,
    /// The part of a head that has come so far.
    head: Vec<u8>,
    due: Instant,
    closes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Head,
    Body(usize),
}

// === impl Driver ===

impl Driver {
    /// Opens the connections.
    pub fn connect(port: u16, path: &str, count: usize) -> anyhow::Result<Self> {
        let head = "host: blog.example\r\nuser-agent: bench/1\r\naccept: */*\r\naccept-language: en\r\n";
        let request = format!("GET {path} HTTP/1.1\r\n{head}\r\n").into_bytes();
        let events = Events::new()?;
        let (connections, buffer) = (Vec::new(), vec![0; 256 * 1024]);
        let mut driver = Self { events, port, request, connections, buffer };
        driver.grow(count)?;
        Ok(driver)
    }

    /// Opens more connections, until there are `count`.
    pub fn grow(&mut self, count: usize) -> anyhow::Result<()> {
        for number in self.connections.len()..count {
            let connection = Connection::new(self.port)?;
            self.events.add(&connection.stream, number, Interest::IN)?;
            self.connections.push(connection);
        }
        Ok(())
    }

    /// One request on every connection.
    pub fn touch(&mut self) -> anyhow::Result<()> {
        let (mut ready, mut left) = (Vec::new(), self.connections.len());
        for connection in &mut self.connections {
            connection.send(&self.request, Instant::now())?;
        }
        while left > 0 {
            self.events.wait(&mut ready, Some(Duration::from_secs(10)))?;
            ensure!(!ready.is_empty(), "no answer within 10 s");
            for &number in &ready {
                left -= usize::from(self.answered(number)?.is_some());
            }
        }
        Ok(())
    }

    /// Sends for a while and waits for the last answers.
    pub fn run(&mut self, pace: Pace, length: Duration) -> anyhow::Result<Outcome> {
        let mut run = Run::new(self.connections.len(), length)?;
        let mut ready = Vec::new();
        if matches!(pace, Pace::Closed) {
            while let Some(number) = run.free.pop_front() {
                run.in_flight += 1;
                self.send(number, Instant::now())?;
            }
        }
        loop {
            let wait = match pace {
                Pace::Closed => Duration::from_secs(10),
                Pace::Open(rate) => self.send_due(&mut run, rate)?,
            };
            let is_over = Instant::now() >= run.end;
            if is_over && run.in_flight == 0 {
                break;
            }
            self.events.wait(&mut ready, Some(if is_over { Duration::from_secs(10) } else { wait }))?;
            ensure!(!(is_over && ready.is_empty()), "no answer within 10 s");
            let now = Instant::now();
            for &number in &ready {
                let Some(due) = self.answered(number)? else { continue };
                run.note(now - due)?;
                if matches!(pace, Pace::Closed) && now < run.end {
                    self.send(number, now)?;
                } else {
                    run.in_flight -= 1;
                    run.free.push_back(number);
                }
            }
        }
        Ok(Outcome { requests: run.requests, took: run.start.elapsed(), latency: run.latency })
    }

    /// Sends what is due; how long until the next one is.
    fn send_due(&mut self, run: &mut Run, rate: f64) -> anyhow::Result<Duration> {
        let now = Instant::now();
        let mut next = run.due(rate);
        while next <= now && next < run.end {
            run.waiting.push_back(next);
            run.scheduled += 1;
            next = run.due(rate);
        }
        while let (Some(&due), Some(&number)) = (run.waiting.front(), run.free.front()) {
            run.waiting.pop_front();
            run.free.pop_front();
            run.in_flight += 1;
            self.send(number, due)?;
        }
        Ok(next.min(run.end).saturating_duration_since(Instant::now()))
    }

    fn send(&mut self, number: usize, due: Instant) -> anyhow::Result<()> {
        let connection = self.connections.get_mut(number).context("no such connection")?;
        if connection.closes {
            *connection = Connection::new(self.port)?;
            self.events.add(&connection.stream, number, Interest::IN)?;
        }
        connection.send(&self.request, due)
    }

    /// Reads on; when the answer is complete, when its request was due.
    fn answered(&mut self, number: usize) -> anyhow::Result<Option<Instant>> {
        let connection = self.connections.get_mut(number).context("no such connection")?;
        match connection.stream.read(&mut self.buffer) {
            Ok(0) if connection.state == State::Idle => {
                // The peer was done with it.
                *connection = Connection::new(self.port)?;
                self.events.add(&connection.stream, number, Interest::IN)?;
                Ok(None)
            }
            Ok(0) => bail!("the connection closed before the answer was complete"),
            Ok(count) => connection.take(self.buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

// === impl Connection ===

impl Connection {
    fn new(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("the proxy")?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, state: State::Idle, head: Vec::new(), due: Instant::now(), closes: false })
    }

    fn send(&mut self, request: &[u8], due: Instant) -> anyhow::Result<()> {
        let written = self.stream.write(request)?;
        ensure!(written == request.len(), "a request was cut short");
        (self.state, self.due) = (State::Head, due);
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<Option<Instant>> {
        let left = match self.state {
            State::Idle => bail!("an answer that nobody asked for"),
            State::Body(left) => left.checked_sub(bytes.len()),
            State::Head
                if self.head.is_empty()
                    && let Some(end) = head_end(bytes) =>
            {
                self.begin_body(bytes.get(..end).unwrap_or_default())?.checked_sub(bytes.len() - end)
            }
            State::Head => {
                self.head.extend_from_slice(bytes);
                let Some(end) = head_end(&self.head) else { return Ok(None) };
                let head = std::mem::take(&mut self.head);
                self.begin_body(head.get(..end).unwrap_or_default())?.checked_sub(head.len() - end)
            }
        };
        let left = left.context("more bytes than Content-Length says")?;
        self.state = if left == 0 { State::Idle } else { State::Body(left) };
        Ok((left == 0).then_some(self.due))
    }

    /// The length of the body. Anything but 200 with a length voids the round.
    fn begin_body(&mut self, head: &[u8]) -> anyhow::Result<usize> {
        let status = head.get(9..12).unwrap_or_default();
        ensure!(status == b"200", "status {}", String::from_utf8_lossy(status));
        let mut length = None;
        for line in head.split(|&byte| byte == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (name, value) =
                (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
            if name.eq_ignore_ascii_case(b"content-length") {
                length = std::str::from_utf8(value.trim_ascii()).ok().and_then(|text| text.parse().ok());
            } else if name.eq_ignore_ascii_case(b"connection") {
                self.closes = value.trim_ascii().eq_ignore_ascii_case(b"close");
            }
        }
        length.context("an answer without Content-Length")
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The state of [`Driver::run`].
struct Run {
    start: Instant,
    end: Instant,
    requests: u64,
    scheduled: u32,
    in_flight: usize,
    /// In turn, so that all connections are used.
    free: VecDeque<usize>,
    /// Due, and no connection is free.
    waiting: VecDeque<Instant>,
    latency: Histogram<u64>,
}

// === impl Run ===

impl Run {
    fn new(connections: usize, length: Duration) -> anyhow::Result<Self> {
        let start = Instant::now();
        Ok(Self {
            start,
            end: start + length,
            requests: 0,
            scheduled: 0,
            in_flight: 0,
            free: (0..connections).collect(),
            waiting: VecDeque::new(),
            latency: Histogram::new(3)?,
        })
    }

    fn due(&self, rate: f64) -> Instant {
        self.start + Duration::from_secs_f64(f64::from(self.scheduled) / rate)
    }

    fn note(&mut self, latency: Duration) -> anyhow::Result<()> {
        self.requests += 1;
        Ok(self.latency.record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX))?)
    }
}
