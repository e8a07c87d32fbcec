//! Accounts looked after: roles, invitations, sessions, tokens of programs.

use super::{Role, Store, StoreError, User, execute, fetch_all, fetch_optional, in_transaction, pick, run};

/// A sign-in as its owner sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Session {
    /// SHA-256 of the token; names the session in forms, since nobody can go back from it to the token.
    pub token_hash: String,
    /// When it began.
    pub created_at: i64,
    /// When it was last used, to within five minutes.
    pub seen_at: i64,
    /// What the browser calls itself.
    pub user_agent: String,
    /// Where it came from.
    pub address: String,
}

/// A token with which a program acts for an account.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ApiToken {
    /// Its number.
    pub id: i64,
    /// What its owner calls it.
    pub name: String,
    /// `read` or `write`.
    pub scope: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was last used, to within five minutes.
    pub used_at: Option<i64>,
}

/// What a token may do; its account's role limits it further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenScope {
    /// Reads posts.
    Read,
    /// Reads and writes posts.
    Write,
}

impl TokenScope {
    /// Its name in the database and in forms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// Reads [`TokenScope::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Read, Self::Write].into_iter().find(|scope| scope.as_str() == text)
    }
}

/// Whose a token is.
#[derive(Clone, Debug)]
pub struct TokenOwner {
    /// The token's number.
    pub token_id: i64,
    /// What it may do.
    pub scope: TokenScope,
    /// The account.
    pub user: User,
}

/// An invitation that is still open.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Invite {
    /// SHA-256 of the token in the link.
    pub token_hash: String,
    /// The role of the account that it makes.
    pub role: String,
    /// Until when it can be used.
    pub expires_at: i64,
}

/// Seconds between two notes of when a session or token was last used: readers' requests must not all write.
const SEEN_EVERY_S: i64 = 300;

impl Store {
    /// Open sessions of an account, last used first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sessions(&self, user: i64, now: i64) -> Result<Vec<Session>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT token_hash, created_at, seen_at, user_agent, address FROM sessions \
             WHERE user_id = $1 AND expires_at > $2 ORDER BY seen_at DESC",
            user,
            now
        )?)
    }

    /// Notes that a session is in use.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn note_session(&self, token_hash: &str, now: i64) -> Result<(), StoreError> {
        execute!(
            self,
            "UPDATE sessions SET seen_at = $2 WHERE token_hash = $1 AND seen_at < $2 - $3",
            token_hash,
            now,
            SEEN_EVERY_S
        )?;
        Ok(())
    }

    /// Ends sessions of an account: one, or with `None` all but `keep`. Returns how many ended.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn end_sessions(&self, user: i64, one: Option<&str>, keep: &str) -> Result<u64, StoreError> {
        Ok(match one {
            Some(hash) => {
                execute!(self, "DELETE FROM sessions WHERE user_id = $1 AND token_hash = $2", user, hash)?
            }
            None => {
                execute!(self, "DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2", user, keep)?
            }
        })
    }

    /// Changes what readers see of an account.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn set_profile(&self, user: i64, (name, bio): (&str, &str)) -> Result<(), StoreError> {
        in_transaction!(self, |tx| {
            run!(tx, "UPDATE users SET display_name = $2, bio = $3 WHERE id = $1", user, name, bio);
            super::touch_content!(tx);
        });
        Ok(())
    }

    /// Gives an account a role, or shuts it (its sessions and tokens end). The last administrator stays one.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no such account, [`StoreError::Refused`] for the last administrator.
    pub async fn set_standing(&self, user: i64, role: Role, disabled: Option<i64>) -> Result<(), StoreError> {
        in_transaction!(self, |tx| {
            if run!(
                tx,
                "UPDATE users SET role = $2, disabled_at = $3 WHERE id = $1",
                user,
                role.as_str(),
                disabled
            ) == 0
            {
                return Err(StoreError::Missing);
            }
            let admins: Option<(i64,)> =
                pick!(tx, "SELECT COUNT(*) FROM users WHERE role = 'admin' AND disabled_at IS NULL");
            if admins.is_none_or(|(count,)| count == 0) {
                return Err(StoreError::Refused("there would be no administrator left"));
            }
            if disabled.is_some() {
                run!(tx, "DELETE FROM sessions WHERE user_id = $1", user);
                run!(tx, "DELETE FROM api_tokens WHERE user_id = $1", user);
            }
        });
        Ok(())
    }

    /// Keeps an invitation.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn invite(
        &self,
        token_hash: &str,
        role: Role,
        (by, expires_at, now): (i64, i64, i64),
    ) -> Result<(), StoreError> {
        in_transaction!(self, |tx| {
            run!(tx, "DELETE FROM invites WHERE expires_at <= $1 OR used_at IS NOT NULL", now);
            run!(
                tx,
                "INSERT INTO invites(token_hash, role, invited_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
                token_hash,
                role.as_str(),
                by,
                now,
                expires_at
            );
        });
        Ok(())
    }

    /// Open invitations.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn invites(&self, now: i64) -> Result<Vec<Invite>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT token_hash, role, expires_at FROM invites WHERE expires_at > $1 AND used_at IS NULL \
             ORDER BY expires_at",
            now
        )?)
    }

    /// An open invitation.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn open_invite(&self, token_hash: &str, now: i64) -> Result<Option<Invite>, StoreError> {
        Ok(fetch_optional!(
            self,
            "SELECT token_hash, role, expires_at FROM invites \
             WHERE token_hash = $1 AND expires_at > $2 AND used_at IS NULL",
            token_hash,
            now
        )?)
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn withdraw_invite(&self, token_hash: &str) -> Result<(), StoreError> {
        execute!(self, "DELETE FROM invites WHERE token_hash = $1", token_hash)?;
        Ok(())
    }

    /// Makes the account of an invitation; the invitation is then used up.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when it is not open any more, [`StoreError::Duplicate`] when the name is taken.
    pub async fn accept_invite(
        &self,
        token_hash: &str,
        (username, display_name): (&str, &str),
        password_hash: &str,
        now: i64,
    ) -> Result<i64, StoreError> {
        let id = in_transaction!(self, |tx| {
            let open: Option<(String,)> = pick!(
                tx,
                "UPDATE invites SET used_at = $2 WHERE token_hash = $1 AND expires_at > $2 AND used_at IS NULL \
                 RETURNING role",
                token_hash,
                now
            );
            let (role,) = open.ok_or(StoreError::Missing)?;
            let row: Option<(i64,)> = pick!(
                tx,
                "INSERT INTO users(username, display_name, password_hash, role, created_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (username) DO NOTHING RETURNING id",
                username,
                display_name,
                password_hash,
                role,
                now
            );
            row.ok_or_else(|| StoreError::Duplicate(format!("an account named {username}")))?.0
        });
        Ok(id)
    }

    /// Keeps a token of a program.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn add_token(
        &self,
        user: i64,
        (name, token_hash, scope): (&str, &str, TokenScope),
        now: i64,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO api_tokens(user_id, name, token_hash, scope, created_at) VALUES ($1, $2, $3, $4, $5)",
            user,
            name,
            token_hash,
            scope.as_str(),
            now
        )?;
        Ok(())
    }

    /// Tokens of an account, newest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn tokens(&self, user: i64) -> Result<Vec<ApiToken>, StoreError> {
        Ok(fetch_all!(
            self,
            "SELECT id, name, scope, created_at, used_at FROM api_tokens WHERE user_id = $1 ORDER BY id DESC",
            user
        )?)
    }

    /// Takes a token back.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn revoke_token(&self, user: i64, id: i64) -> Result<(), StoreError> {
        execute!(self, "DELETE FROM api_tokens WHERE user_id = $1 AND id = $2", user, id)?;
        Ok(())
    }

    /// The account of a token, noting that it was used.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn token_owner(&self, token_hash: &str, now: i64) -> Result<Option<TokenOwner>, StoreError> {
        let user: Option<User> = fetch_optional!(
            self,
            super::users::users!(
                "JOIN api_tokens t ON t.user_id = u.id WHERE t.token_hash = $1 AND u.disabled_at IS NULL"
            ),
            token_hash
        )?;
        let token: Option<(i64, String)> =
            fetch_optional!(self, "SELECT id, scope FROM api_tokens WHERE token_hash = $1", token_hash)?;
        let (Some(user), Some((token_id, scope))) = (user, token) else { return Ok(None) };
        execute!(
            self,
            "UPDATE api_tokens SET used_at = $2 WHERE id = $1 AND COALESCE(used_at, 0) < $2 - $3",
            token_id,
            now,
            SEEN_EVERY_S
        )?;
        // A scope that a newer version invented counts as the least.
        Ok(Some(TokenOwner { token_id, scope: TokenScope::parse(&scope).unwrap_or(TokenScope::Read), user }))
    }
}
