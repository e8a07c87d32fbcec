//! The file that the routers read.

use super::config::{Overrides, Routers, Sticky};
use super::files::{self, Readers};
use crate::limits::{Backends, Timeouts};
use release::Route;
use serde::{Deserialize, Serialize};
use split::Track;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The file and what was written last.
#[derive(Debug)]
pub(super) struct RoutesFile {
    path: PathBuf,
    written: Option<Written>,
}

#[derive(Debug)]
struct Written {
    route: Route,
    document: Document,
    modified: Option<SystemTime>,
}

/// The ready replicas of both tracks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Endpoints {
    pub(super) stable: Vec<SocketAddr>,
    pub(super) canary: Vec<SocketAddr>,
}

/// The file's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    generation: u64,
    routes: Vec<DocumentRoute>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentRoute {
    name: String,
    #[serde(default)]
    hostnames: Vec<String>,
    #[serde(default)]
    path_prefix: String,
    backends: Vec<Backend>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sticky: Option<Sticky>,
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    overrides: Option<Overrides>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeouts: Option<Timeouts>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Backend {
    name: String,
    track: Track,
    weight: u32,
    endpoints: Vec<SocketAddr>,
    #[serde(flatten)]
    limits: Backends,
}

// === impl RoutesFile ===

impl RoutesFile {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), written: None }
    }

    /// The addresses and the generation of the file as a former promoter left it.
    pub(super) fn left_behind(&self) -> (u64, BTreeSet<SocketAddr>) {
        let document = fs::read_to_string(&self.path).ok();
        let document = document.and_then(|text| serde_saphyr::from_str::<Document>(&text).ok());
        let Some(Document { generation, routes }) = document else { return (0, BTreeSet::new()) };
        let backends = routes.into_iter().flat_map(|route| route.backends);
        (generation, backends.flat_map(|backend| backend.endpoints).collect())
    }

    /// The route that the file says.
    pub(super) fn route(&self) -> Option<&Route> {
        self.written.as_ref().map(|written| &written.route)
    }

    /// Whether the file says something else, or was changed by somebody else.
    pub(super) fn differs(
        &self,
        name: &str,
        routers: &Routers,
        route: &Route,
        endpoints: &Endpoints,
    ) -> bool {
        match &self.written {
            None => true,
            Some(written) => {
                let wanted = document(name, routers, route, endpoints);
                written.document.routes != wanted || written.modified != modified(&self.path)
            }
        }
    }

    /// What somebody else has made of the file since it was written, if anything.
    pub(super) fn drift(&self) -> Option<String> {
        let Written { document, modified: ours, .. } = self.written.as_ref()?;
        if *ours == modified(&self.path) {
            return None;
        }
        let what = match fs::read_to_string(&self.path).map(|text| serde_saphyr::from_str::<Document>(&text))
        {
            // Touched, or written by the promoter itself and not yet noted.
            Ok(Ok(now)) if now == *document => return None,
            Ok(Ok(_)) => "says something else than the promoter wrote",
            Ok(Err(_)) => "is no routes file any more",
            Err(_) => "is gone",
        };
        Some(format!("{} {what}", self.path.display()))
    }

    /// Writes the file with a new generation.
    pub(super) fn write(
        &mut self,
        generation: u64,
        routers: &Routers,
        route: &Route,
        (name, endpoints): (&str, &Endpoints),
    ) -> io::Result<()> {
        let document = Document { generation, routes: document(name, routers, route, endpoints) };
        let text = serde_saphyr::to_string(&document).map_err(io::Error::other)?;
        let head = "# Written by the promoter; a change by hand is overwritten.\n";
        files::replace(&self.path, format!("{head}{text}").as_bytes(), Readers::Everybody)?;
        self.written = Some(Written { route: route.clone(), document, modified: modified(&self.path) });
        Ok(())
    }
}

// === impl Endpoints ===

impl Endpoints {
    pub(super) fn all(&self) -> impl Iterator<Item = &SocketAddr> {
        self.stable.iter().chain(&self.canary)
    }
}

fn document(name: &str, routers: &Routers, route: &Route, endpoints: &Endpoints) -> Vec<DocumentRoute> {
    let backend = |track: Track, weight: u16, endpoints: &[SocketAddr]| Backend {
        name: format!("{name}-{track}"),
        track,
        weight: u32::from(weight),
        endpoints: endpoints.to_vec(),
        limits: routers.backends.clone(),
    };
    let mut backends = vec![backend(Track::Stable, route.weight.rest().basis_points(), &endpoints.stable)];
    if route.canary.is_some() {
        backends.push(backend(Track::Canary, route.weight.basis_points(), &endpoints.canary));
    }
    vec![DocumentRoute {
        name: name.to_owned(),
        hostnames: routers.hostnames.clone(),
        path_prefix: "/".to_owned(),
        backends,
        sticky: routers.sticky.clone(),
        overrides: routers.overrides.clone(),
        timeouts: routers.timeouts,
    }]
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}
