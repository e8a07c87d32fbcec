//! The project's images, built on this machine, and versions of the blog that differ in their environment.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::cluster::Given;
use crate::rows::Skip;
use crate::scripts::{self, output, repository};

/// A machine with two cores may compile everything first.
const BUILD_PATIENCE: Duration = Duration::from_secs(1800);
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);

/// The programs of this project.
pub const OURS: [&str; 4] = ["blog", "router", "promoter", "load"];
/// Programs that are not ours: this machine's PostgreSQL, and Prometheus compiled with the cluster.
const OTHERS: [&str; 2] = ["postgres", "prometheus"];

/// The images that a test program needs.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Programs, each as the image `PROGRAM:v1`; `postgres` and `prometheus` are not ours.
    pub programs: &'static [&'static str],
    /// Versions of the blog.
    pub versions: &'static [Version],
}

/// A version of the blog: the same program in another environment.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// The image is `blog:TAG`.
    pub tag: &'static str,
    /// What the image sets, as `NAME=value`.
    pub env: &'static [&'static str],
}

/// Built images, in a store of their own that ends with the value.
#[derive(Debug)]
pub struct Images {
    folder: PathBuf,
    store: TempDir,
    names: Vec<String>,
}

// === impl Wanted ===

impl Wanted {
    /// Everything that is installed in a cluster, and every version of the blog.
    pub const ALL: Self = Self {
        programs: &["blog", "router", "promoter", "load", "postgres", "prometheus"],
        versions: &[
            Version { tag: "v1", env: &["APP_VERSION=v1"] },
            Version { tag: "v2", env: &["APP_VERSION=v2"] },
            Version { tag: "v3", env: &["APP_VERSION=v3"] },
            Version { tag: "crash", env: &["APP_VERSION=crash", "BLOG_FAULT_CRASH_AT_START=true"] },
            Version { tag: "deaf", env: &["APP_VERSION=deaf", "BLOG_LISTEN=127.0.0.1:8080"] },
            Version { tag: "mayfly", env: &["APP_VERSION=mayfly", "BLOG_FAULT_CRASH_AFTER=6s"] },
            Version { tag: "faulty", env: &["APP_VERSION=faulty", "BLOG_FAULT_ERROR_RATE=0.3"] },
        ],
    };
}

// === impl Images ===

impl Images {
    /// Compiles, and builds every image that is wanted; or takes those that k8s/images made in the folder
    /// `HUIDU_IMAGES`.
    ///
    /// # Errors
    /// What the compiler or buildah said.
    pub async fn build(wanted: &Wanted) -> anyhow::Result<Self> {
        let Wanted { programs, versions } = wanted;
        let folder = match std::env::var_os("HUIDU_IMAGES") {
            // Tests run in their package's folder; whoever starts them is in the repository's.
            Some(folder) => repository().join(folder),
            None => compile(programs).await?,
        };
        let mut images = Self { folder: folder.clone(), store: tempfile::tempdir()?, names: Vec::new() };
        for program in *programs {
            let archive = folder.join(format!("{program}.tar"));
            // PostgreSQL's takes long and hardly ever changes; an older Prometheus must not stay for another version.
            if OTHERS.contains(program) && (*program == "prometheus" || !archive.exists()) {
                let mut script = Command::new(scripts::folder().join(program).join("image"));
                output(script.arg(&archive), "", COMMAND_PATIENCE).await?;
            }
            let archive = archive.to_str().context("the repository's path is not UTF-8")?;
            let base = images.buildah(&["pull", "-q", &format!("oci-archive:{archive}")]).await?;
            let plain = Version { tag: "v1", env: &[] };
            let versions = if *program == "blog" { versions } else { std::slice::from_ref(&plain) };
            for version in versions {
                images.version((program, base.trim()), version).await?;
            }
        }
        Ok(images)
    }

    async fn version(&mut self, (program, base): (&str, &str), version: &Version) -> anyhow::Result<()> {
        let Version { tag, env } = version;
        let name = format!("{program}:{tag}");
        let container = self.buildah(&["from", "--pull-never", base]).await?;
        let settings = env.iter().flat_map(|setting| ["--env", *setting]);
        let config: Vec<&str> = ["config"].into_iter().chain(settings).chain([container.trim()]).collect();
        self.buildah(&config).await?;
        self.buildah(&["commit", "-q", "--rm", container.trim(), &format!("localhost/{name}")]).await?;
        self.names.push(name);
        Ok(())
    }

    /// Pushes all images to a registry.
    ///
    /// # Errors
    /// What buildah said.
    pub async fn push_all(&self, registry: &str) -> anyhow::Result<()> {
        for name in &self.names {
            self.push(name, &format!("{registry}/{name}"), None).await?;
        }
        Ok(())
    }

    /// Pushes an image, like `blog:v1`, under the whole name it gets, with a user and a password where asked for, and
    /// returns its digest.
    ///
    /// # Errors
    /// What buildah said.
    pub async fn push(
        &self,
        image: &str,
        whole: &str,
        login: Option<(&str, &str)>,
    ) -> anyhow::Result<String> {
        let (local, remote) = (format!("localhost/{image}"), format!("docker://{whole}"));
        let login = login.map(|(user, password)| format!("{user}:{password}"));
        let login: Vec<&str> = login.iter().flat_map(|login| ["--creds", login.as_str()]).collect();
        let digest = tempfile::NamedTempFile::new_in(self.store.path())?;
        let file = digest.path().to_str().context("the temporary folder's path is not UTF-8")?;
        // The registries of our own clusters have no TLS; they are reached from this machine alone.
        let verify = Given::from_env().is_some_and(|given| !given.is_plain);
        let verify = format!("--tls-verify={verify}");
        let push = ["push", "-q", &verify, "--digestfile", file];
        self.buildah(&[push.as_slice(), &login, &[&local, &remote]].concat()).await?;
        Ok(std::fs::read_to_string(digest.path())?)
    }

    /// The size of a program's image, unpacked, in megabytes of ten to the sixth.
    ///
    /// # Errors
    /// What buildah said.
    pub async fn size_mb(&self, program: &str) -> anyhow::Result<f64> {
        let image = format!("localhost/{program}:v1");
        let container = self.buildah(&["from", "--pull-never", &image]).await?;
        let root = self.buildah(&["mount", container.trim()]).await?;
        let mut du = Command::new("du");
        let told = output(du.args(["-s", "--bytes", root.trim()]), "", COMMAND_PATIENCE).await?;
        self.buildah(&["rm", container.trim()]).await?;
        let bytes: f64 = told.split_whitespace().next().context("du said nothing")?.parse()?;
        Ok(bytes / 1e6)
    }

    /// What a node downloads for a program's image: its layers, compressed, in megabytes of ten to the sixth.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub async fn pulled_mb(&self, program: &str) -> anyhow::Result<f64> {
        let manifest = self.read_archive(program, "index.json").await?;
        let digest = manifest["manifests"][0]["digest"].as_str().context("an archive without an image")?;
        let manifest = self.read_archive(program, &format!("blobs/{}", digest.replace(':', "/"))).await?;
        let layers = manifest["layers"].as_array().context("an image without layers")?;
        Ok(layers.iter().filter_map(|layer| layer["size"].as_f64()).sum::<f64>() / 1e6)
    }

    /// Whether the images were made elsewhere, as `HUIDU_IMAGES` says.
    #[must_use]
    pub fn are_given(&self) -> bool {
        std::env::var_os("HUIDU_IMAGES").is_some()
    }

    /// A file of JSON out of a program's archive.
    async fn read_archive(&self, program: &str, file: &str) -> anyhow::Result<Value> {
        let mut tar = Command::new("tar");
        tar.arg("-xOf").arg(self.folder.join(format!("{program}.tar"))).arg(file);
        Ok(serde_json::from_str(&output(&mut tar, "", COMMAND_PATIENCE).await?)?)
    }

    /// What buildah knows of a program's image.
    ///
    /// # Errors
    /// What buildah said.
    pub async fn inspect(&self, program: &str) -> anyhow::Result<Value> {
        let image = format!("localhost/{program}:v1");
        Ok(serde_json::from_str(&self.buildah(&["inspect", "--type", "image", &image]).await?)?)
    }

    /// Builds the image of a program once more; its digest before and after.
    ///
    /// # Errors
    /// What the compiler or buildah said; [`Skip`] where the images were made elsewhere.
    pub async fn build_again(&self, program: &'static str) -> anyhow::Result<(String, String)> {
        if self.are_given() {
            return Err(Skip("the images were made elsewhere, as HUIDU_IMAGES says").into());
        }
        let digest = async || {
            let index = self.read_archive(program, "index.json").await?;
            anyhow::Ok(index["manifests"][0]["digest"].to_string())
        };
        let before = digest().await?;
        compile(&[program]).await?;
        Ok((before, digest().await?))
    }

    /// The program itself, statically linked, as it is in its image.
    ///
    /// # Errors
    /// When it is not beside the images.
    pub fn program(&self, program: &str) -> anyhow::Result<PathBuf> {
        let places = ["release", "dev"].map(|profile| self.folder.join(profile).join(program));
        let there = places.iter().filter_map(|place| Some((place.metadata().ok()?.modified().ok()?, place)));
        let newest = there.max().map(|(_, place)| place.clone());
        newest.with_context(|| format!("{program} is not beside its image in {}", self.folder.display()))
    }

    async fn buildah(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("buildah");
        command.args(["--storage-driver", "vfs", "--root"]).arg(self.store.path().join("root"));
        command.arg("--runroot").arg(self.store.path().join("run")).args(words);
        output(&mut command, "", COMMAND_PATIENCE).await
    }
}

async fn compile(programs: &[&str]) -> anyhow::Result<PathBuf> {
    let ours: Vec<_> = programs.iter().filter(|program| !OTHERS.contains(program)).collect();
    // Without a name the script builds all of them.
    if !ours.is_empty() {
        let mut script = Command::new(repository().join("k8s/images"));
        output(script.args(["--profile", "dev"]).args(ours), "", BUILD_PATIENCE).await?;
    }
    Ok(std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository().join("target"), PathBuf::from)
        .join("images"))
}
