//! What virtual users do.

use std::collections::{BTreeMap, BTreeSet};

use load::session::Credentials;

use crate::{
    Plan, numbers, plan, run,
    server::{Answer, Seen, Server},
    stage,
};

const HOME: &str = r#"<link rel=alternate type="application/atom+xml" href=/feed.atom>
<form action=/search><input type=search name=q></form>
<main><article><h2><a href=/p/alpha>Learning Kubernetes</a></h2></article>
<article><h2><a href=/p/beta>灰度发布</a></h2></article></main><a rel=next href="/?page=2">older</a>"#;

async fn blog() -> Server {
    Server::start(|_, seen| match seen.path.split('?').next().unwrap() {
        "/" => Answer::html(HOME),
        "/p/alpha" | "/p/beta" | "/search" => Answer::html("<main><article>text</article></main>"),
        "/feed.atom" => Answer::status(200).header("content-type", "application/atom+xml"),
        _ => Answer::status(404),
    })
    .await
}

fn readers() -> &'static str {
    load::scenario::BUILT_IN.iter().find(|(name, _)| *name == "readers").unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_find_posts_search_older_posts_and_the_feed_in_the_pages() {
    let server = blog().await;
    let counts = run(plan(&server, readers(), &[stage(400.0, 1_000)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [400, 0, 0, 0, 0], "{:?}", counts.samples);
    let paths: BTreeSet<_> = server.paths().into_iter().collect();
    for path in ["/", "/p/alpha", "/p/beta", "/feed.atom", "/?page=2"] {
        assert!(paths.contains(path), "{path} in {paths:?}");
    }
    let searched: Vec<_> = paths.iter().filter(|path| path.starts_with("/search?q=")).collect();
    assert!(
        searched.iter().any(|path| path.contains("Learning") || path.contains("Kubernetes")),
        "{searched:?}"
    );
    assert!(counts.steps.iter().all(|(_, skipped)| *skipped == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_blog_does_not_offer_is_skipped_and_counted() {
    let server = Server::start(|_, _| Answer::html("no links here")).await;
    let counts = run(plan(&server, readers(), &[stage(200.0, 500)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [100, 0, 0, 0, 0]);
    assert!(server.paths().iter().all(|path| path == "/"));
    assert!(counts.steps.iter().map(|(_, skipped)| skipped).sum::<u64>() >= 100);
}

fn by(seen: &[Seen], key: impl Fn(&Seen) -> &str) -> BTreeMap<String, Vec<&Seen>> {
    let mut groups: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
    for seen in seen {
        groups.entry(key(seen).to_owned()).or_default().push(seen);
    }
    groups
}

#[tokio::test(flavor = "multi_thread")]
async fn every_person_keeps_an_identity_and_comes_back() {
    let server = blog().await;
    let scenario = "{name: n, users: 5, identity: {header: x-user}, flows: [{name: f, steps: [{get: /}]}]}";
    run(plan(&server, scenario, &[stage(200.0, 500)]).await).await;
    let seen = server.seen();
    let people = by(&seen, |seen| &seen.headers["x-user"]);
    let names: Vec<_> = people.keys().map(String::as_str).collect();
    assert_eq!(&names[..5], ["user-1", "user-2", "user-3", "user-4", "user-5"]);
    assert!(people["user-1"].len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_cookies_stay_with_that_person() {
    let server = Server::start(|n, seen| {
        let answer = Answer::html("x");
        if seen.headers["cookie"].contains("set=") {
            answer
        } else {
            answer.header("set-cookie", format!("set={n}; Path=/"))
        }
    })
    .await;
    let scenario = "{name: n, users: 3, identity: {cookie: who}, flows: [{name: f, steps: [{get: /}]}]}";
    run(plan(&server, scenario, &[stage(100.0, 400)]).await).await;
    let seen = server.seen();
    let people = by(&seen, |seen| {
        seen.headers["cookie"].split("; ").find(|cookie| cookie.starts_with("who=")).unwrap()
    });
    assert!(people.contains_key("who=user-1") && people.contains_key("who=user-3"));
    for (who, requests) in people {
        let cookies: BTreeSet<_> = requests.iter().map(|seen| seen.headers["cookie"].clone()).collect();
        assert!(cookies.len() <= 2, "{who} has {cookies:?}");
    }
}

async fn editorial() -> Server {
    Server::start(|_, seen| {
        let is_in = seen.headers.get("cookie").is_some_and(|cookie| cookie.contains("session=yes"));
        match (seen.method.as_str(), seen.path.as_str()) {
            // Whoever is still signed in sees no form.
            ("GET", "/login") if is_in => Answer::status(409),
            ("GET", "/login") => Answer::html(
                "<form action=/search><input name=q></form>
                 <form method=post><input type=hidden name=csrf value=t0k><input name=username><input name=password></form>",
            ),
            ("POST", "/login") if seen.body == "csrf=t0k&password=p%7Busername%7D+w&username=ed" => {
                Answer::status(303).header("location", "/admin").header("set-cookie", "session=yes; HttpOnly")
            }
            ("GET", "/admin") if is_in => Answer::html("welcome"),
            ("GET", "/admin/posts/new") if is_in => {
                Answer::html("<form method=post action=/admin/posts><input name=title><textarea name=body></textarea></form>")
            }
            ("POST", "/admin/posts") if is_in => Answer::status(201),
            ("GET", "/") => Answer::html("x"),
            _ => Answer::status(403),
        }
    })
    .await
}

const WRITERS: &str = "
name: writers
users: 2
flows:
- {name: read, steps: [get: /]}
- name: write
  role: author
  weight: 20
  steps:
  - get: /login
  - submit: {username: '{username}', password: '{password}'}
  - get: /admin/posts/new
  - submit: {title: 'number {number}', body: text}
    expect: [201]
";

#[tokio::test(flavor = "multi_thread")]
async fn authors_log_in_and_write_where_credentials_are_given() {
    let server = editorial().await;
    let credentials = Credentials { username: "ed".to_owned(), password: "p{username} w".to_owned() };
    let plan =
        Plan { credentials: Some(credentials), ..plan(&server, WRITERS, &[stage(100.0, 1_000)]).await };
    let counts = run(plan).await.counts;
    assert_eq!(numbers(&counts.total), [100, 0, 0, 0, 0], "{:?}", counts.samples);
    let posts: Vec<_> = server.seen().into_iter().filter(|seen| seen.path == "/admin/posts").collect();
    assert!(posts.len() > 3 && posts[0].body != posts[1].body);
    assert_eq!(posts[0].headers["origin"], format!("http://{}", server.address));
    let logins = server.seen().iter().filter(|seen| seen.path == "/login" && seen.method == "GET").count();
    assert!(logins > 3, "a session of an author begins with a login: {logins}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_authors_stay_away() {
    let server = editorial().await;
    let counts = run(plan(&server, WRITERS, &[stage(100.0, 300)]).await).await.counts;
    assert_eq!(numbers(&counts.total), [30, 0, 0, 0, 0]);
    assert!(server.paths().iter().all(|path| path == "/"));
}
