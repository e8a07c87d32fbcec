//! Releases of a plain Deployment under a Canary, on a real cluster, by the promoter with exactly the shipped role.

mod refused;
mod replicas;
mod system;

use std::process::ExitCode;

use cluster::Group;
use cluster::images::{Version, Wanted};

const GROUPS: &[Group] = &[
    Group { name: "replicas", is_long: false, tell: |rows| Box::pin(replicas::tell(rows)) },
    Group { name: "refused", is_long: false, tell: |rows| Box::pin(refused::tell(rows)) },
];

const WANTED: Wanted = Wanted {
    programs: &["blog", "promoter", "postgres", "prometheus"],
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
