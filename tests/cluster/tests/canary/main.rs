//! Releases of a plain Deployment under a Canary, on a real cluster, by the promoter with exactly the shipped role.

mod cut_off;
mod data_plane;
mod evidence;
mod frozen;
mod kills;
mod middle;
mod refused;
mod releases;
mod replicas;
mod service;
mod system;
mod templates;
mod victim;

use std::process::ExitCode;

use cluster::images::Wanted;
use cluster::{Group, Rows};

const GROUPS: &[Group] = &[
    Group { name: "releases", tell: |rows| Box::pin(releases::tell(rows)) },
    Group { name: "kills", tell: |rows| Box::pin(kills::tell(rows)) },
    Group { name: "evidence", tell: |rows| Box::pin(evidence::tell(rows)) },
    Group { name: "templates", tell: |rows| Box::pin(templates::tell(rows)) },
    Group { name: "middle", tell: |rows| Box::pin(middle::tell(rows)) },
    Group { name: "routers", tell: |rows| Box::pin(routers(rows)) },
    Group { name: "service", tell: |rows| Box::pin(service::tell(rows)) },
    Group { name: "replicas", tell: |rows| Box::pin(replicas::tell(rows)) },
    Group { name: "refused", tell: |rows| Box::pin(refused::tell(rows)) },
];

async fn routers(rows: &mut Rows) {
    cut_off::tell(rows).await;
    frozen::tell(rows).await;
    data_plane::tell(rows).await;
}

fn main() -> ExitCode {
    cluster::run(GROUPS, &Wanted::ALL)
}
