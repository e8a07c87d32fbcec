//! When the database is away, the disk is full, or the process is killed.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use blog::store::{DatabaseUrl, Role, Store};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::postgres::Server;
use crate::process::{Process, Visitor};
use crate::support::{TestBlog, options};

/// Asks until the answer has the status.
async fn until(blog: &TestBlog, path: &str, status: StatusCode) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while blog.get(path).await.status != status {
        assert!(Instant::now() < deadline, "{path} never answered {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_database_that_goes_away_and_comes_back_costs_nobody_a_word() {
    let Some(mut server) = Server::own() else { return };
    let blog = TestBlog::on(&server.url("postgres"), options()).await.signed_in("ada", Role::Author).await;
    blog.write("Before", "text").await;
    server.stop();
    let page = blog.get("/posts/before").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    let why = blog.app.store.content_version().await.unwrap_err().to_string();
    assert!(!why.contains("timed out"), "the server was asked, instead of waiting for the pool: {why}");
    assert!(page.body.contains("recovers by itself") && !page.header("retry-after").is_empty());
    assert_eq!(blog.get("/healthz").await.status, StatusCode::OK, "nothing restarts the pod for it");
    assert_eq!(blog.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let form = [("title", "During"), ("body", "typed while it was away"), ("action", "publish")];
    let refused = blog.post("/desk/posts", &form).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.body.contains("typed while it was away") && refused.body.contains("value=\"During\""));
    server.start();
    until(&blog, "/readyz", StatusCode::OK).await;
    assert_eq!(blog.post("/desk/posts", &form).await.status, StatusCode::SEE_OTHER, "the same button again");
    assert!(blog.get("/posts/during").await.body.contains("typed while it was away"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_asked_by_one_request_at_a_time_and_the_others_do_not_wait() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://blog@{}/blog", silent.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            open.push(connection);
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let store = Store::open(&DatabaseUrl::Postgres(url)).await.unwrap();
    assert!(store.content_version().await.unwrap_err().is_unavailable());
    let before = taken.load(Ordering::Relaxed);
    let mut requests = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        requests.spawn(async move { store.content_version().await });
    }
    while let Some(answer) = requests.join_next().await {
        assert!(answer.unwrap().unwrap_err().is_unavailable());
    }
    assert_eq!(taken.load(Ordering::Relaxed), before + 1, "one of the twenty asked");
}

/// A small disk of its own; `None` (and a word about it) where only root may have one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "none"]).arg(folder.path()).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: a small disk can be mounted by root only");
            return None;
        }
        Some(Self(folder))
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let filled = Command::new("dd").arg("if=/dev/zero").arg(self.filler()).arg("bs=4k").output().unwrap();
        assert!(!filled.status.success(), "the disk must be full");
    }

    fn filler(&self) -> String {
        format!("of={}", self.0.path().join("filler").display())
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_still_serves_readers_gives_typed_text_back_and_heals() {
    let Some(disk) = SmallDisk::mount() else { return };
    let url = DatabaseUrl::Sqlite(disk.0.path().join("blog.db"));
    let blog = TestBlog::on(&url, options()).await.signed_in("ada", Role::Author).await;
    blog.write("Before", "text").await;
    disk.fill();
    let long = "灰度 ".repeat(20_000);
    let form = [("title", "During"), ("body", long.as_str()), ("action", "publish")];
    let refused = blog.post("/desk/posts", &form).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.body.contains(long.trim()), "what was typed is on the page");
    assert_eq!(blog.get("/posts/before").await.status, StatusCode::OK, "readers notice nothing");
    assert_eq!(blog.get("/healthz").await.status, StatusCode::OK);
    disk.free();
    assert_eq!(blog.post("/desk/posts", &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(blog.get("/posts/during").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_writes_loses_no_post_that_it_said_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("blog.db");
    let mut process = Process::with_author(&database, &[]).await;
    let visitor = Visitor::signed_in(process.address).await;
    let mut saved = Vec::new();
    for round in 0..3 {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let visitor = visitor.at(process.address);
                tokio::spawn(async move {
                    let mut saved = Vec::new();
                    for number in 0.. {
                        let title = format!("post {round}-{writer}-{number}");
                        let form = [("title", title.as_str()), ("body", "text"), ("action", "publish")];
                        match visitor.post("/desk/posts", &form).await {
                            Some(answer) if answer.status == 303 => saved.push(title.replace(' ', "-")),
                            Some(answer) => panic!("{}: {}", answer.status, answer.body),
                            None => break,
                        }
                    }
                    saved
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(700)).await;
        process.kill().await;
        for writer in writers {
            saved.extend(writer.await.unwrap());
        }
        process = Process::start(&database, &[]).await;
    }
    assert!(saved.len() > 20, "only {} posts were saved", saved.len());
    let reader = visitor.at(process.address);
    for slug in &saved {
        let answer = reader.get(&format!("/posts/{slug}")).await.unwrap();
        assert_eq!(answer.status, 200, "{slug} was acknowledged and is lost");
    }
}

#[tokio::test]
async fn a_restart_under_load_fails_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("blog.db");
    let old = Process::with_author(&database, &["--app-version", "v1", "--drain-delay", "2s"]).await;
    let new = Process::start(&database, &["--app-version", "v2"]).await;
    let visitor = Visitor::signed_in(old.address).await;
    let form = [("title", "Read me"), ("body", "text"), ("action", "publish")];
    assert_eq!(visitor.post("/desk/posts", &form).await.unwrap().status, 303);
    // What a router does: it asks whether the old process is ready, and sends where it last was.
    let target = std::sync::Arc::new(std::sync::Mutex::new(old.address));
    let probe = {
        let (target, visitor, next) = (target.clone(), visitor.at(old.address), new.address);
        tokio::spawn(async move {
            while visitor.get("/readyz").await.is_some_and(|answer| answer.status == 200) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            *target.lock().unwrap() = next;
        })
    };
    let end = Instant::now() + Duration::from_secs(5);
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (target, visitor) = (target.clone(), visitor.clone());
            tokio::spawn(async move {
                let (mut v1, mut v2) = (0, 0);
                while Instant::now() < end {
                    let address = *target.lock().unwrap();
                    let answer = visitor.at(address).get("/posts/read-me").await;
                    let answer = answer.expect("a request failed during the restart");
                    assert_eq!(answer.status, 200);
                    if answer.version == "v1" { v1 += 1 } else { v2 += 1 }
                }
                (v1, v2)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ended = old.terminate().await;
    assert!(ended.success(), "{ended}");
    probe.await.unwrap();
    let (mut v1, mut v2) = (0, 0);
    for reader in readers {
        let seen = reader.await.unwrap();
        v1 += seen.0;
        v2 += seen.1;
    }
    assert!(v1 > 20 && v2 > 20, "{v1} answers of the old process and {v2} of the new one");
}
