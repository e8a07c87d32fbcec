//! A backend that writes what a test says, byte by byte, and tells what it was sent.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync, time,
};

/// Answers the head of every request with the same bytes. Bodies are read as far as they come.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Everything that came, of all connections.
    seen: Arc<Mutex<Vec<u8>>>,
    connections: Arc<AtomicUsize>,
    writers: Arc<Mutex<Vec<Writer>>>,
    written: Arc<AtomicUsize>,
}

type Writer = Arc<sync::Mutex<OwnedWriteHalf>>;

// === impl Scripted ===

impl Scripted {
    pub(crate) async fn start(bytes: impl AsRef<[u8]>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = Arc::new(Mutex::new(bytes.as_ref().to_vec()));
        let (seen, connections) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<AtomicUsize>::default());
        let writers = Arc::<Mutex<Vec<Writer>>>::default();
        tokio::spawn({
            let (bytes, seen, connections) = (bytes.clone(), seen.clone(), connections.clone());
            let writers = writers.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, SeqCst);
                    let (stream, writer) = accepted(stream);
                    writers.lock().unwrap().push(writer.clone());
                    tokio::spawn(serve(stream, writer, bytes.clone(), seen.clone()));
                }
            }
        });
        Self { address, bytes, seen, connections, writers, written: Arc::default() }
    }

    /// Writes by every connection that is open, without being asked.
    pub(crate) async fn blurt(&self, bytes: impl AsRef<[u8]>) {
        let writers = self.writers.lock().unwrap().clone();
        for writer in writers {
            let _ = writer.lock().await.write_all(bytes.as_ref()).await;
        }
    }

    /// Answers the first request of every connection with a body that has no end.
    pub(crate) async fn endless() -> Self {
        let scripted = Self::start("").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let written = scripted.written.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let written = written.clone();
                tokio::spawn(async move {
                    let mut head = vec![0; 4096];
                    let _ = stream.read(&mut head).await.ok()?;
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
                    while let Ok(count) = stream.write(&[0; 16 * 1024]).await {
                        written.fetch_add(count, SeqCst);
                    }
                    Some(())
                });
            }
        });
        Self { address, ..scripted }
    }

    /// Takes connections, and never reads from them.
    pub(crate) async fn deaf() -> Self {
        let scripted = Self::start("").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Self { address, ..scripted }
    }

    /// Bytes of endless bodies that were taken, when no more were taken for a while.
    pub(crate) async fn settled(&self) -> usize {
        let mut last = usize::MAX;
        loop {
            let written = self.written.load(SeqCst);
            if written == last {
                return written;
            }
            last = written;
            time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) fn now(&self, bytes: impl AsRef<[u8]>) {
        *self.bytes.lock().unwrap() = bytes.as_ref().to_vec();
        self.seen.lock().unwrap().clear();
    }

    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    pub(crate) fn route(&self) -> String {
        format!(
            "routes: [{{name: blog, timeouts: {{request: 10s, backendRequest: 5s}}, \
             backends: [{{name: b, track: stable, endpoints: ['{}']}}]}}]",
            self.address
        )
    }
}

fn accepted(stream: TcpStream) -> (OwnedReadHalf, Writer) {
    stream.set_nodelay(true).unwrap();
    let (stream, writer) = stream.into_split();
    (stream, Arc::new(sync::Mutex::new(writer)))
}

async fn serve(
    mut stream: OwnedReadHalf,
    writer: Writer,
    bytes: Arc<Mutex<Vec<u8>>>,
    seen: Arc<Mutex<Vec<u8>>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut heads = Vec::new();
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        seen.lock().unwrap().extend_from_slice(&buffer[..read]);
        heads.extend_from_slice(&buffer[..read]);
        // One answer for each head; what else comes is a body.
        while let Some(at) = heads.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<_> = heads.drain(..at + 4).collect();
            if head.windows(5).any(|five| five == b"HTTP/") {
                let answer = bytes.lock().unwrap().clone();
                if writer.lock().await.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    }
    // The list of writers would keep it open.
    let _ = writer.lock().await.shutdown().await;
}
