//! The chapters of a Kubernetes tutorial, on a real cluster, with the blog.

mod broken;
mod deploy;
mod image;
mod recommended;
mod registry;
mod rollback;
mod scale;
mod session;
mod upgrade;
mod watch;

use std::process::ExitCode;

use cluster::Group;
use cluster::images::{Version, Wanted};

const GROUPS: &[Group] = &[
    Group { name: "image", is_long: false, tell: |rows| Box::pin(image::tell(rows)) },
    Group { name: "deploy", is_long: false, tell: |rows| Box::pin(deploy::tell(rows)) },
    Group { name: "upgrade", is_long: false, tell: |rows| Box::pin(upgrade::tell(rows)) },
    Group { name: "broken", is_long: false, tell: |rows| Box::pin(broken::tell(rows)) },
    Group { name: "rollback", is_long: false, tell: |rows| Box::pin(rollback::tell(rows)) },
    Group { name: "scale", is_long: false, tell: |rows| Box::pin(scale::tell(rows)) },
    Group { name: "registry", is_long: false, tell: |rows| Box::pin(registry::tell(rows)) },
    Group { name: "recommended", is_long: false, tell: |rows| Box::pin(recommended::tell(rows)) },
];

const WANTED: Wanted = Wanted {
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

fn main() -> ExitCode {
    cluster::run(GROUPS, &WANTED)
}
