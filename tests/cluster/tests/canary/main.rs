//! Releases of a plain Deployment under a Canary, on a real cluster, by the promoter with exactly the shipped role.

mod kills;
mod middle;
mod refused;
mod releases;
mod replicas;
mod service;
mod system;
mod templates;

use std::process::ExitCode;

use cluster::Group;
use cluster::images::{Version, Wanted};

const GROUPS: &[Group] = &[
    Group { name: "releases", is_long: true, tell: |rows| Box::pin(releases::tell(rows)) },
    Group { name: "kills", is_long: true, tell: |rows| Box::pin(kills::tell(rows)) },
    Group { name: "templates", is_long: true, tell: |rows| Box::pin(templates::tell(rows)) },
    Group { name: "middle", is_long: true, tell: |rows| Box::pin(middle::tell(rows)) },
    Group { name: "service", is_long: true, tell: |rows| Box::pin(service::tell(rows)) },
    Group { name: "replicas", is_long: false, tell: |rows| Box::pin(replicas::tell(rows)) },
    Group { name: "refused", is_long: false, tell: |rows| Box::pin(refused::tell(rows)) },
];

const WANTED: Wanted = Wanted {
    programs: &["blog", "router", "promoter", "load", "postgres", "prometheus"],
    versions: &[
        Version { tag: "v1", env: &["APP_VERSION=v1"] },
        Version { tag: "v2", env: &["APP_VERSION=v2"] },
        Version { tag: "v3", env: &["APP_VERSION=v3"] },
        Version { tag: "faulty", env: &["APP_VERSION=faulty", "BLOG_FAULT_ERROR_RATE=0.3"] },
    ],
};

fn main() -> ExitCode {
    cluster::run(GROUPS, &WANTED)
}
