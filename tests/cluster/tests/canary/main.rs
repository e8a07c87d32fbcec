//! Releases of a plain Deployment under a Canary, on a real cluster, by the promoter with exactly the shipped role.

mod cut_off;
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

use cluster::Group;
use cluster::images::Wanted;

const GROUPS: &[Group] = &[
    Group { name: "releases", tell: |rows| Box::pin(releases::tell(rows)) },
    Group { name: "kills", tell: |rows| Box::pin(kills::tell(rows)) },
    Group { name: "templates", tell: |rows| Box::pin(templates::tell(rows)) },
    Group { name: "middle", tell: |rows| Box::pin(middle::tell(rows)) },
    Group { name: "routers", tell: |rows| Box::pin(cut_off::tell(rows)) },
    Group { name: "service", tell: |rows| Box::pin(service::tell(rows)) },
    Group { name: "replicas", tell: |rows| Box::pin(replicas::tell(rows)) },
    Group { name: "refused", tell: |rows| Box::pin(refused::tell(rows)) },
];

fn main() -> ExitCode {
    cluster::run(GROUPS, &Wanted::ALL)
}
