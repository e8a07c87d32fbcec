//! `blog user`: accounts from the command line. Passwords come from standard input, never from an argument that
//! every process of the machine could read.

use std::io::IsTerminal as _;

use anyhow::{Context as _, ensure};

use super::print_line;
use crate::args::UserCommand;
use crate::store::{DatabaseUrl, Store};
use crate::web::app::now;
use crate::web::passwords::Passwords;
use crate::web::{PASSWORD_CHARS_MIN, is_username};

pub(super) async fn run(url: &DatabaseUrl, command: UserCommand) -> anyhow::Result<()> {
    let store = Store::open(url).await.context("can't open the database")?;
    store.check_schema().await?;
    match command {
        UserCommand::Create { username, display_name, role } => {
            let username = username.trim().to_lowercase();
            ensure!(is_username(&username), "a name to sign in with has 1 to 60 letters, digits or - _ . @");
            let hash = Passwords::new().hash(read_password()?).await?;
            let shown = display_name.unwrap_or_else(|| username.clone());
            store.create_user((&username, &shown), &hash, role, now()).await?;
            tracing::info!(%username, role = role.as_str(), "`{username}` may sign in");
        }
        UserCommand::Password { username } => {
            let username = username.trim().to_lowercase();
            let user = store
                .user_by_name(&username)
                .await?
                .with_context(|| format!("there is no account `{username}`"))?;
            let hash = Passwords::new().hash(read_password()?).await?;
            store.set_password(user.id, &hash, "").await?;
            tracing::info!(%username, "`{username}` has a new password and no session");
        }
        UserCommand::List => {
            for user in store.users().await? {
                let state = if user.disabled_at.is_some() { "disabled" } else { "active" };
                print_line(&format!(
                    "{}\t{}\t{}\t{state}",
                    user.username,
                    user.role().as_str(),
                    user.display_name
                ));
            }
        }
    }
    store.close().await;
    Ok(())
}

fn read_password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        tracing::info!("type the password and press Enter; it is shown while you type");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("can't read the password from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    ensure!(
        password.chars().count() >= PASSWORD_CHARS_MIN,
        "a password has at least {PASSWORD_CHARS_MIN} characters; give it on standard input"
    );
    Ok(password)
}
