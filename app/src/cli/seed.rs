//! `blog seed`: example content.

use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::args::SeedArgs;
use crate::seed::{AUTHOR, fill};
use crate::store::{DatabaseUrl, Store};
use crate::web::passwords::Passwords;

pub(super) async fn run(url: &DatabaseUrl, args: SeedArgs) -> anyhow::Result<()> {
    let SeedArgs { posts, password } = args;
    let store = Store::open(url).await.context("can't open the database")?;
    store.check_schema().await?;
    let hash = match password {
        Some(password) => {
            ensure!(
                password.chars().count() >= 4,
                "the password of the example author has at least 4 characters"
            );
            Some(Passwords::new().hash(password).await?)
        }
        None => None,
    };
    let started = Instant::now();
    let filled = fill(&store, posts, hash.as_deref()).await?;
    store.close().await;
    tracing::info!(
        posts = filled.posts,
        comments = filled.comments,
        took_ms = started.elapsed().as_millis(),
        "{} posts and {} comments are new; the author is `{AUTHOR}`",
        filled.posts,
        filled.comments
    );
    Ok(())
}
