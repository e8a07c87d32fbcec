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
use cluster::images::Wanted;

const GROUPS: &[Group] = &[
    Group { name: "image", tell: |rows| Box::pin(image::tell(rows)) },
    Group { name: "deploy", tell: |rows| Box::pin(deploy::tell(rows)) },
    Group { name: "upgrade", tell: |rows| Box::pin(upgrade::tell(rows)) },
    Group { name: "broken", tell: |rows| Box::pin(broken::tell(rows)) },
    Group { name: "rollback", tell: |rows| Box::pin(rollback::tell(rows)) },
    Group { name: "scale", tell: |rows| Box::pin(scale::tell(rows)) },
    Group { name: "registry", tell: |rows| Box::pin(registry::tell(rows)) },
    Group { name: "recommended", tell: |rows| Box::pin(recommended::tell(rows)) },
];

fn main() -> ExitCode {
    cluster::run(GROUPS, &Wanted::ALL)
}
