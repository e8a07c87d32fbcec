//! Pictures in a bucket of a store that speaks S3: Amazon's own, MinIO, Ceph, Garage and others.
//!
//! Requests are signed in their address, which every such store understands, and name the bucket in the path, which a
//! store without a domain of its own needs. Nothing here is ever logged: neither keys nor signed addresses.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use url::Url;

use crate::store::NewFile;

/// How long a connection may take; a store that is away is not waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request may take with its body of some megabytes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a signature is valid: the request and what two clocks may differ.
const SIGNATURE_LIFETIME: Duration = Duration::from_secs(60);
/// The largest answer that is read; our own files are smaller.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Where a bucket is, as `https://HOST/BUCKET` or `https://HOST/BUCKET/FOLDER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Address {
    endpoint: Url,
    bucket: String,
    /// What the names of our objects begin with: empty, or ending with a slash.
    folder: String,
}

/// A bucket with the keys to it.
#[derive(Clone)]
pub struct S3 {
    bucket: Bucket,
    folder: String,
    keys: Credentials,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the pictures' bucket {bucket}: {why}")]
pub struct S3Error {
    bucket: String,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("the store can't be reached: {0}")]
    Unreachable(String),
    #[error("the store gave no answer within {REQUEST_TIMEOUT:?}")]
    Timeout,
    #[error("the store refused with {status}: {code} {message}{}", remedy(code))]
    Refused { status: StatusCode, code: String, message: String },
    #[error(
        "no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file that has them with \
         --s3-credentials-file"
    )]
    NoKeys,
    #[error("{}: {said}", file.display())]
    KeysFile { file: std::path::PathBuf, said: String },
    #[error("{0}")]
    Address(String),
}

// === impl S3Error ===

impl S3Error {
    /// Whether the same may work in a moment, without anybody mending anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match &self.why {
            Why::Unreachable(_) | Why::Timeout => true,
            Why::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Why::NoKeys | Why::KeysFile { .. } | Why::Address(_) => false,
        }
    }
}

/// What helps, by the code of the refusal: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
fn remedy(code: &str) -> &'static str {
    match code {
        "NoSuchBucket" | "InvalidBucketName" => "; make the bucket, or name another one with --pictures",
        "AccessDenied" | "AllAccessDisabled" => {
            "; allow the key s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket there, or give the blog \
             another one with AWS_ACCESS_KEY_ID or --s3-credentials-file"
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            "; correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the file of --s3-credentials-file"
        }
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "TemporaryRedirect" => {
            "; name the bucket's region with --s3-region"
        }
        "RequestTimeTooSkewed" => "; set the clock of this machine",
        "SlowDown" | "ServiceUnavailable" | "InternalError" => "; it is busy, the same may work in a moment",
        _ => "",
    }
}

// === impl S3Address ===

impl FromStr for S3Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` {why}; write it like s3:https://s3.example.org/BUCKET");
        let mut endpoint: Url = text.parse().map_err(|error| wrong(&format!("is no address ({error})")))?;
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            // The text itself holds a key then, so it is not repeated.
            return Err(
                "keys never stand in the address of a bucket: every process of the machine could read them; \
                 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                    .to_owned(),
            );
        }
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.query().is_some() {
            return Err(wrong("is no address of a bucket"));
        }
        let path = endpoint.path().trim_matches('/').to_owned();
        let (bucket, folder) = path.split_once('/').unwrap_or((&path, ""));
        if bucket.is_empty() || path.contains('%') {
            return Err(wrong("names no bucket"));
        }
        endpoint.set_path("");
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Ok(Self { endpoint, bucket: bucket.to_owned(), folder })
    }
}

// === impl S3 ===

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("bucket", &self.name()).finish_non_exhaustive()
    }
}

impl S3 {
    /// A client of the bucket, with keys from a file or else from the environment. Nothing is asked yet.
    ///
    /// # Errors
    /// When there are no keys.
    pub fn new(address: &S3Address, region: &str, keys: Option<&Path>) -> Result<Self, S3Error> {
        let S3Address { endpoint, bucket, folder } = address.clone();
        let failed = |why| S3Error { bucket: format!("{endpoint}{bucket}"), why };
        let keys = match keys {
            Some(file) => {
                read_keys(file).map_err(|said| failed(Why::KeysFile { file: file.to_owned(), said }))?
            }
            None => Credentials::from_env().ok_or_else(|| failed(Why::NoKeys))?,
        };
        let bucket = Bucket::new(endpoint.clone(), UrlStyle::Path, bucket.clone(), region.to_owned())
            .map_err(|error| failed(Why::Address(error.to_string())))?;
        Ok(Self { bucket, folder, keys, client: client() })
    }

    /// Keeps a file; one of the same name has the same content.
    pub(super) async fn put(&self, new: NewFile) -> Result<(), S3Error> {
        let object = self.object(&new.file);
        let url = self.bucket.put_object(Some(&self.keys), &object).sign(SIGNATURE_LIFETIME);
        let (status, answer) = self.send((Method::PUT, &url), (new.content_type, new.content.into())).await?;
        if status.is_success() { Ok(()) } else { Err(self.refused(status, &answer)) }
    }

    /// A file's bytes; `None` where it is not there.
    pub(super) async fn get(&self, file: &str) -> Result<Option<Vec<u8>>, S3Error> {
        let object = self.object(file);
        let url = self.bucket.get_object(Some(&self.keys), &object).sign(SIGNATURE_LIFETIME);
        let (status, answer) = self.send((Method::GET, &url), ("", Bytes::new())).await?;
        match status {
            StatusCode::OK => Ok(Some(answer.into())),
            // A bucket that is not there answers 404 too, and that must not look like a missing picture.
            StatusCode::NOT_FOUND if element(&answer, "Code") == "NoSuchKey" => Ok(None),
            _ => Err(self.refused(status, &answer)),
        }
    }

    /// Deletes a file, if it is there.
    pub(super) async fn delete(&self, file: &str) -> Result<(), S3Error> {
        let object = self.object(file);
        let url = self.bucket.delete_object(Some(&self.keys), &object).sign(SIGNATURE_LIFETIME);
        let (status, answer) = self.send((Method::DELETE, &url), ("", Bytes::new())).await?;
        let gone =
            status.is_success() || status == StatusCode::NOT_FOUND && element(&answer, "Code") == "NoSuchKey";
        if gone { Ok(()) } else { Err(self.refused(status, &answer)) }
    }

    fn object(&self, file: &str) -> String {
        format!("{}{file}", self.folder)
    }

    fn name(&self) -> String {
        format!("{}{}", self.bucket.base_url(), self.folder)
    }

    async fn send(
        &self,
        (method, url): (Method, &Url),
        (content_type, body): (&str, Bytes),
    ) -> Result<(StatusCode, Bytes), S3Error> {
        let mut request = Request::builder().method(method).uri(url.as_str());
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let failed = |why| S3Error { bucket: self.name(), why };
        let request =
            request.body(Full::new(body)).map_err(|error| failed(Why::Address(error.to_string())))?;
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| unreachable(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            Ok((parts.status, body.map_err(|error| Why::Unreachable(error.to_string()))?.to_bytes()))
        };
        match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => Err(failed(Why::Timeout)),
        }
    }

    fn refused(&self, status: StatusCode, answer: &[u8]) -> S3Error {
        let (code, message) = (element(answer, "Code"), element(answer, "Message"));
        S3Error { bucket: self.name(), why: Why::Refused { status, code, message } }
    }
}

/// It trusts the certificates of the machine (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others), and where there are
/// none, Mozilla's.
fn client() -> Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let trusting = HttpsConnectorBuilder::new().with_native_roots();
    let trusting = trusting.unwrap_or_else(|_| HttpsConnectorBuilder::new().with_webpki_roots());
    Client::builder(TokioExecutor::new()).build(trusting.https_or_http().enable_http1().wrap_connector(tcp))
}

/// The innermost cause says it best.
fn unreachable(error: &hyper_util::client::legacy::Error) -> Why {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Why::Unreachable(cause.to_string())
}

/// Keys out of a file as Amazon's tools write it; of its sections only `default` counts.
fn read_keys(file: &Path) -> Result<Credentials, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut is_ours = true;
    let (mut key, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_ours = section.trim_end_matches(']').trim() == "default";
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| is_ours) else { continue };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match name.trim() {
            "aws_access_key_id" => key = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    match (key, secret, token) {
        (Some(key), Some(secret), None) => Ok(Credentials::new(key, secret)),
        (Some(key), Some(secret), Some(token)) => Ok(Credentials::new_with_token(key, secret, token)),
        _ => Err("it lacks a line `aws_access_key_id = …` or `aws_secret_access_key = …`".to_owned()),
    }
}

/// The text of an element of an error's XML, which is flat; empty where there is none.
fn element(answer: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(4 << 10)]);
    let inside = text.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once("</"));
    inside.map_or_else(String::new, |(inside, _)| inside.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{S3Address, element, read_keys};

    #[test]
    fn an_address_names_a_bucket_and_perhaps_a_folder_and_never_keys() {
        let address: S3Address = "http://127.0.0.1:9000/blog/pictures/2026/".parse().unwrap();
        assert_eq!(address.endpoint.as_str(), "http://127.0.0.1:9000/");
        assert_eq!((address.bucket.as_str(), address.folder.as_str()), ("blog", "pictures/2026/"));
        for bad in ["", "blog", "ftp://a/b", "https://a.example", "https://a.example/", "https://a/b?x=y"] {
            assert!(bad.parse::<S3Address>().unwrap_err().contains("s3:https://"), "{bad}");
        }
        let said = "https://key:secret@a.example/b".parse::<S3Address>().unwrap_err();
        assert!(said.contains("AWS_SECRET_ACCESS_KEY") && !said.contains("key:secret"), "{said}");
    }

    #[test]
    fn keys_are_read_from_the_default_section_of_the_file_of_amazons_tools() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |text: &str| std::fs::write(file.path(), text).unwrap();
        write(
            "# mine\n[other]\naws_access_key_id=no\n[default]\naws_access_key_id = id\naws_secret_access_key=a=b\n",
        );
        let keys = read_keys(file.path()).unwrap();
        assert_eq!((keys.key(), keys.secret(), keys.token()), ("id", "a=b", None));
        write("aws_access_key_id = id\n");
        let said = read_keys(file.path()).unwrap_err();
        assert!(said.contains("aws_secret_access_key"), "{said}");
    }

    #[test]
    fn a_refusal_is_read_out_of_its_xml() {
        let answer = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>";
        assert_eq!(
            (element(answer, "Code"), element(answer, "Message")),
            ("AccessDenied".into(), "No.".into())
        );
        assert_eq!(element(b"<html>", "Code"), "");
    }
}
