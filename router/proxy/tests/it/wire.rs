//! A client of HTTP/2 that sends whatever frames a test says, and sees the frames that come back.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time,
};

/// A connection whose preface and settings are sent.
pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
}

/// RFC 9113 §4.1.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// How a request ended, or the connection with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Status(u16),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with this code.
    GoAway(u32),
    Closed,
}

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// What an ordinary request begins with.
pub(crate) const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")];
pub(crate) const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")];

// === impl Wire ===

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::with_settings(address, &[]).await
    }

    /// Settings as identifiers and values.
    pub(crate) async fn with_settings(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut wire = Self::silent(address).await;
        wire.write(PREFACE).await.unwrap();
        let payload: Vec<_> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        wire.send(SETTINGS, 0, 0, &payload).await;
        wire
    }

    /// A connection on which nothing was said.
    pub(crate) async fn silent(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    /// The other side of a connection, whose settings are sent; `None` when it speaks something else.
    pub(crate) async fn accepted(stream: TcpStream) -> Option<Self> {
        let mut wire = Self { stream: BufReader::new(stream) };
        let mut preface = vec![0; PREFACE.len()];
        wire.stream.read_exact(&mut preface).await.ok()?;
        wire.send(SETTINGS, 0, 0, &[]).await;
        (preface == PREFACE).then_some(wire)
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.try_send(kind, flags, stream, payload).await.unwrap();
    }

    pub(crate) async fn try_send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        self.write(&frame(kind, flags, stream, payload)).await
    }

    /// A request without a body.
    pub(crate) async fn request(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields)).await;
    }

    /// The next frame; `None` when the connection ends or nothing comes for five seconds.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        time::timeout(Duration::from_secs(5), self.read()).await.ok()?
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        self.stream.read_exact(&mut header).await.ok()?;
        let [a, b, c, kind, flags, id @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(id), payload })
    }

    /// How the request on `stream` ends; settings and pings are acknowledged on the way.
    pub(crate) async fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            let Some(frame) = self.next().await else { return Outcome::Closed };
            match frame.kind {
                SETTINGS | PING if frame.flags & ACK == 0 => {
                    let payload = if frame.kind == PING { frame.payload } else { Vec::new() };
                    let _ = self.try_send(frame.kind, ACK, 0, &payload).await;
                }
                HEADERS if frame.stream == stream => return Outcome::Status(status(&frame.payload)),
                RST_STREAM if frame.stream == stream => return Outcome::Reset(code(&frame.payload)),
                GOAWAY if code(&frame.payload[4..]) != 0 => {
                    return Outcome::GoAway(code(&frame.payload[4..]));
                }
                _ => {}
            }
        }
    }

    /// A request without a body, and how it ends.
    pub(crate) async fn get(&mut self, stream: u32) -> Outcome {
        self.request(stream, &GET).await;
        self.outcome(stream).await
    }

    /// Whether the router ends the connection within a few seconds; frames before that are passed over.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match time::timeout(Duration::from_secs(8), self.stream.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => return true,
                Ok(Ok(_)) => {}
                Err(_) => return false,
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of literal fields that are not indexed (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for text in fields.iter().flat_map(|(name, value)| [("\0", *name), ("", *value)]) {
        block.extend_from_slice(text.0.as_bytes());
        integer(&mut block, text.1.len());
        block.extend_from_slice(text.1.as_bytes());
    }
    block
}

/// RFC 7541 §5.1 with a prefix of seven bits.
fn integer(block: &mut Vec<u8>, number: usize) {
    let byte = |number: usize| u8::try_from(number).unwrap();
    if number < 127 {
        block.push(byte(number));
        return;
    }
    block.push(127);
    let mut rest = number - 127;
    while rest >= 128 {
        block.push(byte(rest % 128 + 128));
        rest /= 128;
    }
    block.push(byte(rest));
}

fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

/// The status that a header block begins with: an entry of the static table, or three digits in the code of Huffman.
fn status(block: &[u8]) -> u16 {
    // Changes of the table's size come first.
    let at = block.iter().position(|byte| byte & 0xE0 != 0x20).unwrap();
    match block[at..] {
        [first @ 0x88..=0x8E, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)],
        [0x08 | 0x48, length, ref rest @ ..] if length & 0x80 == 0 => {
            std::str::from_utf8(&rest[..usize::from(length)]).unwrap().parse().unwrap()
        }
        [0x08 | 0x48, length, ref rest @ ..] => huffman_digits(&rest[..usize::from(length & 0x7F)]),
        ref other => panic!("no status: {other:02x?}"),
    }
}

/// Digits in the code of Huffman (RFC 7541, Appendix B): 0 to 2 have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: Vec<_> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let five = bits[at..at + 5].iter().fold(0, |number, bit| number << 1 | u16::from(*bit));
        let (digit, length) =
            if five < 3 { (five, 5) } else { ((five << 1 | u16::from(bits[at + 5])) - 22, 6) };
        number = number * 10 + digit;
        at += length;
    }
    number
}
