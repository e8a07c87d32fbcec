//! Values that only their receiver may see.

use crate::http::Header;
use hyper::header::{HeaderName, HeaderValue};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use release::SecretHeader;
use std::path::PathBuf;

/// The Secret that holds the values of all webhooks of a namespace, so that the promoter needs to read no other one.
pub const SECRET: &str = "huidu-webhooks";

/// The largest file that is read.
const FILE_LIMIT: u64 = 64 * 1024;

/// Where values are kept.
#[derive(Clone, Debug)]
pub enum Secrets {
    /// A file for each, as a Secret is mounted into a pod.
    Folder(PathBuf),
    /// The keys of the Secret [`SECRET`].
    Cluster(Box<Api<Secret>>),
}

// === impl Secrets ===

impl Secrets {
    /// A header with its value, read anew each time: values change. No error holds any of it.
    ///
    /// # Errors
    /// Where it cannot be read, in a sentence with the remedy.
    pub async fn header(&self, header: Option<&SecretHeader>) -> Result<Option<Header>, String> {
        let Some(SecretHeader { name, secret }) = header else { return Ok(None) };
        let value = self.read(secret).await?;
        let name =
            HeaderName::try_from(name).map_err(|_| format!("header.name: `{name}` is not a header"))?;
        let value = HeaderValue::try_from(value.trim_end_matches(['\r', '\n']));
        let mut value =
            value.map_err(|_| format!("the secret `{secret}` has characters that no header has"))?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }

    async fn read(&self, key: &str) -> Result<String, String> {
        match self {
            Self::Folder(folder) => {
                if key.contains('/') || key.starts_with('.') {
                    return Err(format!(
                        "header.secret: `{key}` is not the name of a file; write one without /"
                    ));
                }
                let path = folder.join(key);
                let unreadable = |error: &dyn std::fmt::Display| {
                    format!("{}: {error}; put the value there", path.display())
                };
                let length = tokio::fs::metadata(&path).await.map_err(|error| unreadable(&error))?.len();
                if length > FILE_LIMIT {
                    return Err(unreadable(&format!("{length} bytes are no header")));
                }
                tokio::fs::read_to_string(&path).await.map_err(|error| unreadable(&error))
            }
            Self::Cluster(secrets) => {
                let secret = secrets.get_opt(SECRET).await.map_err(|error| match error {
                    kube::Error::Api(status) => format!("the Secret {SECRET}: {}", status.message),
                    error => format!("the Secret {SECRET} cannot be read: {error}"),
                })?;
                let secret = secret.ok_or_else(|| {
                    format!(
                        "there is no Secret {SECRET}; kubectl create secret generic {SECRET} --from-literal {key}=…"
                    )
                })?;
                let value = secret.data.and_then(|mut data| data.remove(key));
                let value = value.ok_or_else(|| format!("the Secret {SECRET} has no key `{key}`; add it"))?;
                String::from_utf8(value.0).map_err(|_| format!("the key `{key}` of {SECRET} is not text"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(secret: &str) -> SecretHeader {
        SecretHeader { name: "Authorization".to_owned(), secret: secret.to_owned() }
    }

    #[tokio::test]
    async fn a_value_comes_from_its_file_and_is_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("chat"), "Bearer hush\n").unwrap();
        let secrets = Secrets::Folder(folder.path().to_owned());
        let (name, value) = secrets.header(Some(&header("chat"))).await.unwrap().unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("authorization", "Bearer hush"));
        assert!(!format!("{value:?}").contains("hush"));
        assert_eq!(secrets.header(None).await, Ok(None));
    }

    #[tokio::test]
    async fn what_is_missing_or_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("binary"), "a\u{1}b").unwrap();
        let secrets = Secrets::Folder(folder.path().to_owned());
        for (secret, part) in [
            ("nothing", "put the value there"),
            ("../passwd", "is not the name of a file"),
            ("binary", "has characters that no header has"),
        ] {
            let error = secrets.header(Some(&header(secret))).await.unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
