//! House rules that a reader would otherwise have to remember.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The most lines of a source file, its tests aside.
const LINES: usize = 420;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The files of the repository with one of these endings.
fn files(endings: &[&str]) -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<_> = listed
        .lines()
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)) && root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    assert!(!files.is_empty(), "git lists no file");
    files
}

/// Our own packages that a package depends on, apart from its tests.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = read(manifest);
    let section = text.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', '=', ' ']).next());
    let ours = ["blog", "duration", "split", "release", "proxy", "promoter", "load", "tests"];
    names.filter(|name| ours.contains(name)).map(str::to_owned).collect()
}

#[test]
fn packages_depend_only_on_what_the_architecture_allows() {
    for (package, allowed) in [
        ("app", &[][..]),
        ("router/duration", &[]),
        ("router/split", &[]),
        ("router/release", &["duration", "split"]),
        ("router/proxy", &["duration", "split"]),
        ("router/promoter", &["release", "split"]),
    ] {
        let found = dependencies(&format!("{package}/Cargo.toml"));
        assert!(found.iter().all(|name| allowed.contains(&name.as_str())), "{package} depends on {found:?}");
    }
}

#[test]
fn the_pure_packages_know_no_runtime_no_cluster_and_no_clock() {
    for package in ["router/duration", "router/split", "router/release"] {
        let manifest = read(&format!("{package}/Cargo.toml"));
        let runtime = manifest.split("[dev-dependencies]").next().unwrap();
        for name in ["tokio", "hyper", "kube", "axum", "rand"] {
            assert!(!runtime.contains(&format!("\n{name}")), "{package} depends on {name}");
        }
    }
    for path in files(&[".rs"]).iter().filter(|path| {
        ["duration", "split", "release"].iter().any(|pure| path.starts_with(&format!("router/{pure}/src")))
    }) {
        let text = read(path);
        for clock in ["Timestamp::now", "Instant::now", "SystemTime"] {
            assert!(!text.contains(clock), "{path} reads the clock: {clock}");
        }
    }
}

#[test]
fn source_files_are_short() {
    let mut long = Vec::new();
    for path in files(&[".rs"]).iter().filter(|path| path.contains("/src/")) {
        let text = read(path);
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().count();
        if lines > LINES {
            long.push(format!("{path}: {lines}"));
        }
    }
    assert!(long.is_empty(), "longer than {LINES} lines without tests: {long:#?}");
}

/// The phase that a migration states, and its statements without comments.
fn migration(path: &str) -> (String, String) {
    let text = read(path);
    let phase = text.lines().next().unwrap().strip_prefix("-- phase: ").unwrap_or_default().to_owned();
    let sql = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join(" ");
    (phase, sql.to_uppercase())
}

#[test]
fn a_migration_states_its_phase_and_one_that_expands_only_adds() {
    for name in files(&[".sql"]).iter().filter_map(|path| path.strip_prefix("app/migrations/sqlite/")) {
        let both = ["sqlite", "postgres"].map(|folder| migration(&format!("app/migrations/{folder}/{name}")));
        assert_eq!(both[0].0, both[1].0, "{name} has one phase");
        for (phase, sql) in both {
            match phase.as_str() {
                "expand" => {
                    for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
                        let adds = statement.starts_with("CREATE ")
                            || statement.starts_with("INSERT INTO ")
                            || statement.starts_with("ALTER TABLE ") && statement.contains(" ADD COLUMN ");
                        assert!(adds, "{name} expands, so it only adds; this does not: {statement}");
                    }
                    for column in sql.split("ADD COLUMN").skip(1).filter_map(|rest| rest.split(';').next()) {
                        let filled = !column.contains("NOT NULL") || column.contains("DEFAULT");
                        assert!(filled, "{name}: programs that do not know{column} can not fill it in");
                    }
                }
                "backfill" => {
                    assert!(!sql.contains("DROP ") && !sql.contains("ALTER "), "{name} only fills in");
                }
                "contract" => assert!(sql.contains("OLDEST_SCHEMA"), "{name} must raise oldest_schema"),
                other => panic!("{name}: `{other}` is no phase; there are expand, backfill and contract"),
            }
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["X", "XX"].concat()];
    for path in files(&[".rs", ".sh", ".yaml", ".toml", ".md", "Makefile", "Dockerfile"]) {
        let text = read(&path);
        for word in &words {
            let found = text.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word);
            assert!(!found, "{path} says {word}");
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    // What imports are tested with belongs to other blogs.
    for path in files(&[".md"]).into_iter().filter(|path| !path.contains("/fixtures/")) {
        let folder = Path::new(&path).parent().unwrap().to_owned();
        for target in read(&path).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") && !file.contains(' ') {
                assert!(root().join(&folder).join(file).exists(), "{path} links to {target}");
            }
        }
    }
}

#[test]
fn metrics_that_the_promoter_reads_are_in_the_architecture_and_in_the_router() {
    let name = "huidu_router_first_attempt_duration_seconds";
    assert!(read("ARCHITECTURE.md").contains(name));
    for folder in ["router/proxy/src", "router/promoter/src"] {
        let said = files(&[".rs"])
            .iter()
            .filter(|path| path.starts_with(folder))
            .any(|path| read(path).contains(name));
        assert!(said, "{folder} does not say {name}");
    }
}

#[test]
fn every_dependency_is_defended() {
    let text = read("Cargo.toml");
    let section =
        text.split("[workspace.dependencies]").nth(1).unwrap().split("[workspace.lints").next().unwrap();
    let mut defended = false;
    for line in section.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("# ---") {
            defended = line.contains("ours");
        } else if line.starts_with('#') {
            defended = true;
        } else {
            assert!(defended, "no reason above: {line}");
        }
    }
}
