//! What a process is: the local counterpart of a pod template.

use release::Revision;
use serde::{Deserialize, Serialize, de};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a process is. Changing anything of it makes another revision.
///
/// `{port}` and `{replica}` in the command and the environment become the process's port and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// The program and its arguments. A program without a slash is looked up in `PATH`.
    #[serde(deserialize_with = "command")]
    pub command: Vec<String>,
    /// Added to the environment of the promoter.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Where it runs; by default the folder of the file that the template is in.
    #[serde(default)]
    pub working_directory: PathBuf,
}

// === impl Template ===

impl Template {
    /// The name of this revision: the first ten digits of a hash over everything in it.
    pub fn revision(&self) -> Revision {
        let Self { command, env, working_directory } = self;
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            // The length keeps ["ab"] and ["a", "b"] apart.
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        add(&command.len().to_string());
        command.iter().for_each(|word| add(word));
        for (name, value) in env {
            add(name);
            add(value);
        }
        add(&working_directory.to_string_lossy());
        let digest = hash.finalize();
        let digits = digest.iter().take(5).fold(String::new(), |mut digits, byte| {
            // Writing to a string does not fail.
            let _ = write!(digits, "{byte:02x}");
            digits
        });
        Revision::new(digits)
    }

    /// Makes the paths independent of where the promoter runs.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        let directory = folder.join(&self.working_directory);
        self.working_directory = directory.components().collect();
    }

    /// The program; a relative path with a slash counts from the working directory.
    pub(crate) fn program(&self) -> PathBuf {
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        if program.contains('/') { self.working_directory.join(program) } else { PathBuf::from(program) }
    }

    /// The fields in which `other` differs. No values: an environment may hold secrets.
    pub fn difference(&self, other: &Self) -> Vec<String> {
        let Self { command, env, working_directory } = self;
        let mut fields = Vec::new();
        if *command != other.command {
            fields.push("command".to_owned());
        }
        let names: std::collections::BTreeSet<_> = env.keys().chain(other.env.keys()).collect();
        fields.extend(
            names
                .into_iter()
                .filter(|name| env.get(*name) != other.env.get(*name))
                .map(|name| format!("env.{name}")),
        );
        if *working_directory != other.working_directory {
            fields.push("workingDirectory".to_owned());
        }
        fields
    }
}

fn command<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let command = Vec::<String>::deserialize(deserializer)?;
    match command.first() {
        Some(program) if !program.is_empty() => Ok(command),
        _ => Err(de::Error::custom(
            "the list names no program; write it as [blog, serve, --listen, \"127.0.0.1:{port}\"]",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(yaml: &str) -> Template {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn the_revision_is_the_same_in_every_build_and_changes_with_the_content() {
        let first = template("{command: [blog, serve], env: {APP_VERSION: v1}}");
        assert_eq!(first.revision().as_str(), "8c08a288ed");
        for other in [
            "{command: [blog, serve], env: {APP_VERSION: v2}}",
            "{command: [blog, ser, ve], env: {APP_VERSION: v1}}",
            "{command: [blog, serve]}",
            "{command: [blog, serve, APP_VERSION, v1]}",
            "{command: [blog, serve], env: {APP_VERSION: v1}, workingDirectory: /tmp}",
        ] {
            assert_ne!(template(other).revision(), first.revision(), "{other}");
        }
    }

    #[test]
    fn a_difference_names_fields_and_no_values() {
        let first = template("{command: [blog], env: {A: secret, B: same}}");
        let other = template("{command: [blog, serve], env: {A: other, B: same, C: new}}");
        assert_eq!(first.difference(&other), ["command", "env.A", "env.C"]);
        assert!(first.difference(&first).is_empty());
    }
}
