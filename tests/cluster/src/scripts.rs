//! The scripts that do the work on the machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The folder of this package, where the scripts are.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the repository.
pub(crate) fn repository() -> PathBuf {
    folder().join("../..")
}

/// Runs a command to its end and returns what it printed; what went wrong is told in its own words.
pub(crate) async fn output(command: &mut Command, stdin: &str, within: Duration) -> anyhow::Result<String> {
    let words = command.as_std().get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let program = Path::new(command.as_std().get_program());
    let name = format!("{} {words}", program.file_name().unwrap_or_default().to_string_lossy());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("can't run {name}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A command that reads nothing has closed it, which is fine.
        let _ = pipe.write_all(stdin.as_bytes()).await;
    }
    let ended = tokio::time::timeout(within, child.wait_with_output()).await;
    let output = ended.with_context(|| format!("{name}: no end within {within:?}"))??;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{name}: {}", [out.trim(), err.trim()].join("\n").trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
