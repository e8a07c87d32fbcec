//! Accounts, sessions and the counts that slow down guessing.

use super::{Store, StoreError, execute, fetch_all, fetch_optional, in_transaction, pick, run};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Writes and publishes own posts.
    Author,
    /// Edits every post and moderates comments.
    Editor,
    /// Also accounts and settings.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Author, Self::Editor, Self::Admin];

    /// Its name in the database, on the command line and in forms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// Reads [`Role::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// An account.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct User {
    /// Its number.
    pub id: i64,
    /// The name to sign in with, in lower case.
    pub username: String,
    /// The name that readers see.
    pub display_name: String,
    /// argon2id as a PHC string; never shown.
    pub password_hash: String,
    role: String,
    /// A line for readers.
    pub bio: String,
    /// When it was shut, if it is.
    pub disabled_at: Option<i64>,
}

impl User {
    /// What it may do. A role that a newer version invented counts as the least.
    #[must_use]
    pub fn role(&self) -> Role {
        Role::parse(&self.role).unwrap_or(Role::Author)
    }

    /// Whether it may edit a post of this author.
    #[must_use]
    pub fn may_edit(&self, author_id: i64) -> bool {
        self.id == author_id || self.role() >= Role::Editor
    }
}

/// A sign-in to be kept.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// SHA-256 of the token in the cookie, in hexadecimal digits.
    pub token_hash: String,
    /// The account.
    pub user_id: i64,
    /// Until when it is valid.
    pub expires_at: i64,
    /// What the browser calls itself.
    pub user_agent: String,
    /// Where it came from.
    pub address: String,
}

/// Accounts with the rest of the statement.
macro_rules! users {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.username, u.display_name, u.password_hash, u.role, u.bio, u.disabled_at FROM users u ",
            $rest
        )
    };
}
pub(super) use users;

impl Store {
    /// Makes an account.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the name is taken.
    pub async fn create_user(
        &self,
        (username, display_name): (&str, &str),
        password_hash: &str,
        role: Role,
        now: i64,
    ) -> Result<i64, StoreError> {
        let id = in_transaction!(self, |tx| {
            let row: Option<(i64,)> = pick!(
                tx,
                "INSERT INTO users(username, display_name, password_hash, role, created_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (username) DO NOTHING RETURNING id",
                username,
                display_name,
                password_hash,
                role.as_str(),
                now
            );
            row.ok_or_else(|| StoreError::Duplicate(format!("an account named {username}")))?.0
        });
        Ok(id)
    }

    /// An account by its name.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn user_by_name(&self, username: &str) -> Result<Option<User>, StoreError> {
        Ok(fetch_optional!(self, users!("WHERE u.username = $1"), username)?)
    }

    /// Every account, in order of names.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        Ok(fetch_all!(self, users!("ORDER BY u.username"))?)
    }

    /// Sets a password and ends all sessions of the account but the one given.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no such account.
    pub async fn set_password(&self, user: i64, hash: &str, keep_session: &str) -> Result<(), StoreError> {
        in_transaction!(self, |tx| {
            if run!(tx, "UPDATE users SET password_hash = $2 WHERE id = $1", user, hash) == 0 {
                return Err(StoreError::Missing);
            }
            run!(tx, "DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2", user, keep_session);
        });
        Ok(())
    }

    /// Keeps a session and forgets those that have expired.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn start_session(&self, new: &NewSession, now: i64) -> Result<(), StoreError> {
        in_transaction!(self, |tx| {
            run!(tx, "DELETE FROM sessions WHERE expires_at <= $1", now);
            run!(
                tx,
                "INSERT INTO sessions(token_hash, user_id, created_at, seen_at, expires_at, user_agent, address) \
                 VALUES ($1, $2, $3, $3, $4, $5, $6)",
                &new.token_hash,
                new.user_id,
                now,
                new.expires_at,
                &new.user_agent,
                &new.address
            );
        });
        Ok(())
    }

    /// The account of a session that is valid now.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn session_user(&self, token_hash: &str, now: i64) -> Result<Option<User>, StoreError> {
        Ok(fetch_optional!(
            self,
            users!(
                "JOIN sessions s ON s.user_id = u.id \
                 WHERE s.token_hash = $1 AND s.expires_at > $2 AND u.disabled_at IS NULL"
            ),
            token_hash,
            now
        )?)
    }

    /// Ends one session.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn end_session(&self, token_hash: &str) -> Result<(), StoreError> {
        execute!(self, "DELETE FROM sessions WHERE token_hash = $1", token_hash)?;
        Ok(())
    }

    /// Counts an attempt in the present window of `window_s` seconds; how many there were with it.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn count_attempt(&self, bucket: &str, window_s: i64, now: i64) -> Result<i64, StoreError> {
        let start = now - now.rem_euclid(window_s);
        let used = in_transaction!(self, |tx| {
            run!(tx, "DELETE FROM attempts WHERE window_start < $1", now - 24 * 3600);
            let row: Option<(i64,)> = pick!(
                tx,
                "INSERT INTO attempts(bucket, window_start, used) VALUES ($1, $2, 1) \
                 ON CONFLICT (bucket, window_start) DO UPDATE SET used = attempts.used + 1 RETURNING used",
                bucket,
                start
            );
            row.map_or(1, |(used,)| used)
        });
        Ok(used)
    }

    /// Forgets attempts, as after a success.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn forget_attempts(&self, bucket: &str) -> Result<(), StoreError> {
        execute!(self, "DELETE FROM attempts WHERE bucket = $1", bucket)?;
        Ok(())
    }
}
