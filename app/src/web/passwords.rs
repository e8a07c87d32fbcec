//! Password hashes: argon2id, a few at a time.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, Params};
use tokio::sync::Semaphore;

/// Hashes under way at once: each takes 19 MiB and a core, so a flood of sign-ins must queue, not take the memory.
const HASHES_MAX: usize = 2;

/// Makes and checks password hashes.
#[derive(Debug)]
pub struct Passwords {
    permits: Semaphore,
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed: {0}")]
pub struct HashError(String);

impl Passwords {
    /// Nothing is under way.
    #[must_use]
    pub fn new() -> Self {
        Self { permits: Semaphore::new(HASHES_MAX) }
    }

    /// Hashes under way now.
    #[must_use]
    pub fn under_way(&self) -> usize {
        HASHES_MAX - self.permits.available_permits().min(HASHES_MAX)
    }

    /// A new hash as a PHC string, which names its own parameters: other versions check it too.
    ///
    /// # Errors
    /// When the system has no randomness or memory.
    pub async fn hash(&self, password: String) -> Result<String, HashError> {
        let _permit = self.permits.acquire().await;
        tokio::task::spawn_blocking(move || {
            argon2().hash_password(password.as_bytes()).map(|hash| hash.to_string())
        })
        .await
        .map_err(|error| HashError(error.to_string()))?
        .map_err(|error| HashError(error.to_string()))
    }

    /// Whether the password fits the hash. Without a hash (no such account) it takes as long and says no.
    pub async fn verify(&self, password: String, hash: Option<String>) -> bool {
        let _permit = self.permits.acquire().await;
        let checked = tokio::task::spawn_blocking(move || {
            let Some(hash) = hash else {
                let _ = argon2().hash_password(password.as_bytes());
                return false;
            };
            PasswordHash::new(&hash)
                .is_ok_and(|parsed| argon2().verify_password(password.as_bytes(), &parsed).is_ok())
        });
        checked.await.unwrap_or(false)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

/// OWASP's first recommendation: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, Params::default())
}

#[cfg(test)]
mod tests {
    use super::Passwords;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".to_owned(), Some(hash.clone())).await);
        assert!(!passwords.verify("wrong".to_owned(), Some(hash)).await);
        assert!(!passwords.verify("correct horse".to_owned(), None).await);
        assert!(!passwords.verify("x".to_owned(), Some("!".to_owned())).await);
    }
}
