//! TLS towards clients: a certificate and its key from two files, read again whenever they change.

use arc_swap::ArcSwap;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time;
use tokio_rustls::rustls::{
    self, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first, in PEM.
    pub certificate: PathBuf,
    /// The private key of the first certificate, in PEM.
    pub key: PathBuf,
}

/// What handshakes are made with, and the files that it comes from.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    seen: Fingerprint,
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
}

/// Certificate or key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{}: {source}; make it readable for the router", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is too large.
    #[error("{}: more than {FILE_BYTES_MAX} bytes; is it the right file?", .0.display())]
    TooLarge(PathBuf),
    /// There is no certificate.
    #[error("{}: no certificate; it must begin with -----BEGIN CERTIFICATE-----", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key.
    #[error("{}: no private key; it must hold -----BEGIN PRIVATE KEY----- (PKCS#8, PKCS#1 or SEC1)", .0.display())]
    NoKey(PathBuf),
    /// What is there is no PEM.
    #[error("{}: {source}; write it anew in PEM", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// They do not belong together, or the key is of a kind that is not supported.
    #[error("{} and {}: {source}; write a certificate (RSA, ECDSA P-256 or P-384, Ed25519) and the key it was made for", certificate.display(), key.display())]
    Unfit {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// None in practice: the versions are those of the provider.
    #[error("no TLS: {0}")]
    Provider(rustls::Error),
}

/// What changes when a file is written or another one is renamed into its place.
type Fingerprint = [Option<(SystemTime, u64, u64)>; 2];

/// The certificate that new connections get.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

/// How often the files are looked at. Certificates are renewed days before they end.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Far more than any chain needs.
const FILE_BYTES_MAX: u64 = 1 << 20;

// === impl Tls ===

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file can't be read, holds nothing usable, or the two do not belong together.
    pub fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let seen = files.fingerprint();
        let key = Arc::new(files.load(&provider)?);
        Ok(Self { files, seen, current: Arc::new(Current(ArcSwap::new(key))), provider })
    }

    /// What a connection's handshake is made with: TLS 1.2 or 1.3, and HTTP/2 where the client can.
    ///
    /// # Errors
    /// None in practice.
    pub fn server(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let config = config.with_safe_default_protocol_versions().map_err(TlsError::Provider)?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&self.current);
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Waits until the files have changed and were read. Connections that are open keep what they have; where the
    /// new files can't be used, new connections get the last good certificate.
    pub async fn changed(&mut self) -> Result<(), TlsError> {
        loop {
            time::sleep(POLL_INTERVAL).await;
            let found = self.files.fingerprint();
            if found == self.seen {
                continue;
            }
            // Two files are not written at once: they are looked at when neither has changed for a while.
            time::sleep(POLL_INTERVAL).await;
            if found == self.files.fingerprint() {
                self.seen = found;
                self.current.0.store(Arc::new(self.files.load(&self.provider)?));
                return Ok(());
            }
        }
    }

    /// The files, for messages.
    #[must_use]
    pub const fn files(&self) -> &TlsFiles {
        &self.files
    }
}

// === impl TlsFiles ===

impl TlsFiles {
    fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let Self { certificate, key } = self;
        let pem = |file: &Path| {
            let file = file.to_owned();
            move |source| TlsError::Pem { file, source }
        };
        let text = read(certificate)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let chain = chain.map_err(pem(certificate))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(certificate.clone()));
        }
        let private = match PrivateKeyDer::from_pem_slice(&read(key)?) {
            Ok(private) => private,
            Err(pem::Error::NoItemsFound) => return Err(TlsError::NoKey(key.clone())),
            Err(error) => return Err(pem(key)(error)),
        };
        CertifiedKey::from_der(chain, private, provider).map_err(|source| TlsError::Unfit {
            certificate: certificate.clone(),
            key: key.clone(),
            source,
        })
    }

    fn fingerprint(&self) -> Fingerprint {
        use std::os::unix::fs::MetadataExt;
        let of = |file: &Path| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        };
        [of(&self.certificate), of(&self.key)]
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let error = |source| TlsError::Read { file: file.to_owned(), source };
    if fs::metadata(file).map_err(error)?.len() > FILE_BYTES_MAX {
        return Err(TlsError::TooLarge(file.to_owned()));
    }
    fs::read(file).map_err(error)
}

// === impl Current ===

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}
