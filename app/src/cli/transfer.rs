//! `blog export` and `blog import`.

use anyhow::{Context as _, ensure};

use super::print_line;
use crate::args::{ExportArgs, ImportArgs, PicturesArgs};
use crate::store::{DatabaseUrl, Store};
use crate::transfer::{self, Options, Source};
use crate::web::app::now;

pub(super) async fn export(
    url: &DatabaseUrl,
    pictures: &PicturesArgs,
    args: ExportArgs,
) -> anyhow::Result<()> {
    let ExportArgs { folder } = args;
    let place = pictures.place()?;
    let store = open(url).await?;
    let done = transfer::export(&store, &place, &folder, now()).await?;
    store.close().await;
    print_line(&format!(
        "{}: {} posts and pages, {} comments, {} pictures, {} accounts with their password hashes: keep it private",
        folder.display(),
        done.posts,
        done.comments,
        done.pictures,
        done.accounts
    ));
    Ok(())
}

pub(super) async fn import(
    url: &DatabaseUrl,
    pictures: &PicturesArgs,
    args: ImportArgs,
) -> anyhow::Result<()> {
    let ImportArgs { path, from, author, uploads } = args;
    let source = match from {
        Some(source) => source,
        None => Source::guess(&path)?,
    };
    ensure!(
        uploads.is_none() || source == Source::WordPress,
        "--uploads is for the files of a WordPress export; the other kinds have their pictures with them"
    );
    let place = pictures.place()?;
    let store = open(url).await?;
    let options = Options { source, path, author, uploads, place, now: now() };
    let report = transfer::import(&store, options).await?;
    store.close().await;
    print_line(&report.to_string());
    Ok(())
}

async fn open(url: &DatabaseUrl) -> anyhow::Result<Store> {
    let store = Store::open(url).await.context("can't open the database")?;
    store.check_schema().await?;
    Ok(store)
}
