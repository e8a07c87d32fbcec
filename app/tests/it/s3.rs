//! A real S3 server for the tests: it checks signatures, and its objects are the files of a folder. And one that
//! refuses everything, because the real one makes each bucket that is asked for, and allows everything.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::StatusCode;
use blog::pictures::Place;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// The secret key, which must never be read anywhere.
pub(crate) const SECRET: &str = "a-secret-that-nobody-logs";
const KEY: &str = "blog-in-tests";
const BUCKET: &str = "pictures";

/// A server that answers everything with one refusal; it ends with its test.
pub(crate) struct Refusing {
    address: SocketAddr,
    keys: tempfile::NamedTempFile,
    serving: JoinHandle<()>,
}

impl Refusing {
    /// Refuses with a status, and with a code in the words of S3.
    pub(crate) async fn with(status: u16, code: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = move || async move {
            let said = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>No.</Message>\
                 <BucketName>pictures</BucketName><RequestId>1</RequestId></Error>"
            );
            (StatusCode::from_u16(status).unwrap(), [("content-type", "application/xml")], said)
        };
        let router = axum::Router::new().fallback(answer);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let keys = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(keys.path(), keys_file(SECRET)).unwrap();
        Self { address, keys, serving }
    }

    /// What `--pictures` says of it.
    pub(crate) fn name(&self) -> String {
        format!("s3:http://{}/{BUCKET}", self.address)
    }

    /// The file of `--s3-credentials-file`.
    pub(crate) fn keys(&self) -> &str {
        self.keys.path().to_str().unwrap()
    }

    pub(crate) fn place(&self) -> Place {
        let name: blog::pictures::PlaceName = self.name().parse().unwrap();
        name.open("us-east-1", Some(self.keys.path())).unwrap()
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Keys as Amazon's tools write them.
fn keys_file(secret: &str) -> String {
    format!("[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {secret}\n")
}

/// A server with one bucket; it ends with its test.
pub(crate) struct S3Server {
    address: SocketAddr,
    folder: tempfile::TempDir,
    serving: JoinHandle<()>,
}

impl S3Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("objects").join(BUCKET)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, service(&folder)));
        Self { address, folder, serving }
    }

    /// Ends it: connections are cut, and nobody listens.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// Starts it again, with what it had.
    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = tokio::spawn(serve(listener, service(&self.folder)));
    }

    /// Its bucket.
    pub(crate) fn place(&self) -> Place {
        self.place_with(BUCKET, SECRET).unwrap()
    }

    /// Any bucket, with any secret key.
    pub(crate) fn place_with(&self, bucket: &str, secret: &str) -> Result<Place, String> {
        let keys = self.folder.path().join("keys");
        std::fs::write(&keys, keys_file(secret)).unwrap();
        let name: blog::pictures::PlaceName = format!("s3:http://{}/{bucket}", self.address).parse()?;
        name.open("us-east-1", Some(&keys)).map_err(|error| error.to_string())
    }

    /// The file that an object of the bucket is.
    pub(crate) fn object(&self, name: &str) -> PathBuf {
        self.folder.path().join("objects").join(BUCKET).join(name)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn service(folder: &tempfile::TempDir) -> S3Service {
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path().join("objects")).unwrap());
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    builder.build()
}

async fn serve(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone()));
    }
}
