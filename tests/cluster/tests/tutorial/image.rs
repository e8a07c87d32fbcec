//! Chapter: images.

use anyhow::ensure;
use cluster::blog::Blog;
use cluster::images::OURS;
use cluster::{Cluster, Rows};
use serde_json::Value;

/// As container engines show sizes, in megabytes of ten to the sixth.
const SIZE_MAX_MB: f64 = 25.0;

pub(crate) async fn tell(rows: &mut Rows) {
    rows.row("each of the four images is smaller than 25 MB", small).await;
    rows.row("an image says what it is, and its program is nobody special", labels).await;
    rows.row("an image that is built again is the same to the byte", same_again).await;
    rows.row("the load driver's image reads the blog as a Job, and can write nowhere", load_as_job).await;
}

async fn small(cluster: &Cluster) -> anyhow::Result<()> {
    for program in OURS {
        let pulled = cluster.images().pulled_mb(program).await?;
        ensure!(pulled < SIZE_MAX_MB, "{pulled} MB are pulled for the image of {program}");
        // Unpacked, only what was compiled for release is what people get.
        if cluster.images().are_given() {
            let size = cluster.images().size_mb(program).await?;
            ensure!(size < SIZE_MAX_MB, "the image of {program} has {size} MB");
        }
    }
    Ok(())
}

async fn labels(cluster: &Cluster) -> anyhow::Result<()> {
    for program in OURS {
        let image = cluster.images().inspect(program).await?;
        let config = &image["OCIv1"]["config"];
        ensure!(config["User"] == "65532:65532", "{program} runs as {}", config["User"]);
        for label in ["title", "description", "version", "revision", "licenses"] {
            let value = &config["Labels"][format!("org.opencontainers.image.{label}")];
            ensure!(value.as_str().is_some_and(|value| !value.is_empty()), "{program} has no label {label}");
        }
        let whole = Value::from(format!("/{program}"));
        ensure!(config["Entrypoint"][0] == whole, "{program} starts {}", config["Entrypoint"]);
    }
    Ok(())
}

async fn same_again(cluster: &Cluster) -> anyhow::Result<()> {
    let (before, after) = cluster.images().build_again("load").await?;
    ensure!(before == after, "{before} became {after}");
    Ok(())
}

async fn load_as_job(cluster: &Cluster) -> anyhow::Result<()> {
    let blog = Blog::running(cluster, "v1").await?;
    let job =
        include_str!("load.yaml").replace("image: load", &format!("image: {}/load:v1", cluster.registry()));
    blog.kubectl("delete job load --ignore-not-found").await?;
    cluster.apply(&job).await?;
    let done = blog.kubectl("wait job/load --for condition=complete --timeout 90s").await;
    let told = blog.kubectl("logs job/load").await?;
    ensure!(done.is_ok() && told.contains("limit kept: --max-failures 0"), "{told}");
    Ok(())
}
