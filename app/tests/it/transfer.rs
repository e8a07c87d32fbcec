//! Imports of other blogs, our own export and its way back, and `blog check`.

use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use blog::check::{Severity, check};
use blog::pictures::Place;
use blog::store::{CommentStatus, DatabaseUrl, Role, Store};
use blog::transfer::{Options, Report, Source, export, import};
use image::{DynamicImage, RgbImage};

use crate::postgres;
use crate::support::{TestBlog, migrated, options};

const NOW: i64 = 1_710_000_000;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of a fixture's folder, with pictures at these paths.
fn copied(name: &str, pictures: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(name), folder.path());
    for (index, path) in pictures.iter().enumerate() {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let width = 400 + u32::try_from(index).unwrap();
        DynamicImage::ImageRgb8(RgbImage::new(width, 9)).save(path).unwrap();
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if entry.is_dir() { copy(&entry, &to) } else { std::fs::copy(&entry, &to).map(drop).unwrap() }
    }
}

fn asked(path: &Path) -> Options {
    Options {
        source: Source::guess(path).unwrap(),
        path: path.to_owned(),
        author: Some("ada".to_owned()),
        uploads: None,
        place: Place::Database,
        now: NOW,
    }
}

/// Whether a note about this says that.
fn says(report: &Report, about: &str, what: &str) -> bool {
    report.notes.iter().any(|(subject, said)| subject.contains(about) && said.contains(what))
}

async fn with_ada() -> TestBlog {
    TestBlog::empty().await.signed_in("ada", Role::Admin).await
}

#[tokio::test]
async fn a_hexo_blog_comes_with_posts_drafts_pages_pictures_and_its_old_addresses() {
    let blog = with_ada().await;
    let hexo = copied("hexo", &["source/images/banner.png", "source/_posts/canary/steps.png"]);
    let report = import(&blog.app.store, asked(hexo.path())).await.unwrap();
    assert_eq!((report.posts, report.pages, report.accounts), (4, 1, 1), "{report}");
    let reader = blog.second_process(options()).await.signed_out();
    for (old, new) in [
        ("/notes/2024/03/01/canary/", "/posts/canary"),
        ("/notes/2024/03/01/canary/index.html", "/posts/canary"),
        ("/notes/hello-world.html", "/posts/hello"),
        ("/notes/about/", "/pages/about"),
    ] {
        let answer = reader.get(old).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::PERMANENT_REDIRECT, new),
            "{old}"
        );
    }
    assert_eq!(reader.get("/notes/2024/03/01/nothing/").await.status, StatusCode::NOT_FOUND);
    let post = blog.app.store.post_by_slug("canary").await.unwrap().unwrap();
    assert_eq!(post.published_at, Some(1_709_294_400), "20:00 in the zone of _config.yml");
    assert_eq!((post.title.as_str(), post.category.as_str()), ("灰度发布：从 1% 到 100%", "运维"));
    assert_eq!(post.author, "林知远");
    let tags: Vec<_> = post.tags().iter().map(|tag| tag.name.to_owned()).collect();
    assert_eq!(tags, ["Kubernetes", "发布", "灰度"]);
    assert_eq!(post.summary, "发布最怕的不是失败，而是失败得太晚。");
    assert!(post.body.contains("[第一篇](/posts/hello)") && post.body.contains("```yaml\nweight: 1\n```"));
    assert_eq!(post.body.matches("](/media/").count(), 2, "{}", post.body);
    assert!(reader.get(&format!("/media/{}", post.cover)).await.status.is_success(), "{}", post.cover);
    let idea = blog.app.store.post_by_slug("idea").await.unwrap().unwrap();
    assert_eq!((idea.status.as_str(), idea.published_at), ("draft", None));
    let dated = blog.app.store.post_by_slug("no-front-matter").await.unwrap().unwrap();
    assert_eq!(dated.published_at, Some(1_651_766_400));
    assert!(says(&report, "broken.md", "no YAML") && says(&report, "hello.md", "missing.png"), "{report}");
    assert!(says(&report, "canary.md", "{% note %}") && says(&report, "canary.md", "`发布` became a tag"));
    let again = import(&blog.app.store, asked(hexo.path())).await.unwrap();
    assert_eq!((again.posts, again.pages, again.accounts, again.known), (0, 0, 0, 5), "{again}");
}

#[tokio::test]
async fn a_wordpress_export_comes_with_authors_comments_answers_and_markdown() {
    let blog = with_ada().await;
    let uploads = copied("hexo/scaffolds", &["2024/03/chart.png"]);
    let file = fixture("wordpress.xml");
    let asked = Options { uploads: Some(uploads.path().to_owned()), ..asked(&file) };
    let report = import(&blog.app.store, asked.clone()).await.unwrap();
    assert_eq!((report.posts, report.pages, report.comments, report.pictures), (4, 1, 3, 1), "{report}");
    let post = blog.app.store.post_by_slug("灰度").await.unwrap().unwrap();
    insta::assert_snapshot!("wordpress_post", post.body.replace(&picture_in(&post.body), "PICTURE"));
    assert_eq!((post.published_at, post.updated_at), (Some(1_709_294_400), 1_709_380_800));
    assert_eq!((post.author.as_str(), post.category.as_str()), ("云上", "运维"));
    assert!(post.summary.starts_with("先放 1% 的流量"), "{}", post.summary);
    let reader = blog.second_process(options()).await.signed_out();
    let old = reader.get("/2024/03/01/%E7%81%B0%E5%BA%A6/").await;
    assert_eq!(old.header("location"), "/posts/%E7%81%B0%E5%BA%A6");
    let page = reader.get("/posts/%E7%81%B0%E5%BA%A6").await.body;
    assert!(page.contains("colspan=\"2\"") && !page.contains("alert("), "{page}");
    let comments = blog.app.store.comments(post.id).await.unwrap();
    let lines: Vec<_> = comments.iter().map(|one| (one.author_name.as_str(), one.body.as_str())).collect();
    assert_eq!(lines, [("读者 <b>甲</b>", "第一步放多少？"), ("云上", "先放 1%，*再看*。")]);
    assert_eq!(comments[1].parent_id, Some(comments[0].id), "the answer stands under its comment");
    assert_eq!((comments[0].author_url.as_str(), comments[0].created_at), ("", 1_709_301_600));
    let spam = blog.app.store.comment_queue(CommentStatus::Spam, i64::MAX).await.unwrap();
    assert_eq!(spam.len(), 1);
    let second = blog.app.store.post_by_slug("hello-world").await.unwrap().unwrap();
    insta::assert_snapshot!("wordpress_post_of_the_old_editor", second.body);
    assert_eq!((second.title.as_str(), second.author.as_str()), ("Hello & welcome", "Maya & Co"));
    assert_eq!(
        (second.summary.as_str(), second.comments_open, second.category.as_str()),
        ("The first text.", 0, "")
    );
    let private = blog.app.store.post_by_slug("for-friends").await.unwrap().unwrap();
    assert_eq!(private.status, "draft");
    for (about, what) in [
        ("post 32", "draft here"),
        ("post 33", "trash"),
        ("nav_menu_item 40", "no nav_menu_item"),
        ("post 1 ", "[gallery]"),
        ("post 1 ", "gone.jpg"),
        ("post 11", "`发布` became a tag"),
        ("maya-lindqvist", "blog user password"),
    ] {
        assert!(says(&report, about, what), "{about}: {what}\n{report}");
    }
    let again = import(&blog.app.store, asked).await.unwrap();
    assert_eq!((again.posts, again.comments, again.accounts, again.known), (0, 0, 0, 5), "{again}");
}

fn picture_in(body: &str) -> String {
    body.split("](/media/").nth(1).unwrap().split(')').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_folder_of_markdown_comes_as_hugo_and_jekyll_keep_it() {
    let blog = with_ada().await;
    let folder = copied("markdown", &["content/posts/bundle/cover.png", "content/posts/bundle/photo.png"]);
    std::fs::write(folder.path().join("latin.md"), b"caf\xe9").unwrap();
    let error = import(&blog.app.store, asked(folder.path())).await.unwrap_err().to_string();
    assert!(error.contains("latin.md") && error.contains("byte 3") && error.contains("UTF-8"), "{error}");
    std::fs::remove_file(folder.path().join("latin.md")).unwrap();
    let report = import(&blog.app.store, asked(folder.path())).await.unwrap();
    assert_eq!(report.posts + report.pages + report.known, 4, "{report}");
    let first = blog.app.store.post_by_slug("first-steps").await.unwrap().unwrap();
    assert_eq!((first.published_at, first.updated_at), (Some(1_704_160_800), 1_704_247_200));
    assert_eq!((first.author.as_str(), first.summary.as_str()), ("ada", "How it began."));
    for (old, new) in [
        ("/old/first", "/posts/first-steps"),
        ("/2024/first.html", "/posts/first-steps"),
        ("/tools/jekyll", "/posts/jekyll"),
    ] {
        assert_eq!(blog.get(old).await.header("location"), new);
    }
    let bundle = blog.app.store.post_by_slug("bundle").await.unwrap().unwrap();
    assert_eq!(bundle.status, "draft");
    assert!(bundle.body.contains("![photo](/media/") && bundle.cover.ends_with(".png"), "{}", bundle.body);
    assert!(says(&report, "bundle/index.md", "secret.png"), "{report}");
    let jekyll = blog.app.store.post_by_slug("jekyll").await.unwrap().unwrap();
    assert_eq!((jekyll.title.as_str(), jekyll.category.as_str()), ("From Jekyll", "Tools"));
    assert!(!jekyll.body.contains("# From Jekyll"));
    let about = blog.app.store.post_by_slug("about").await.unwrap().unwrap();
    assert_eq!((about.kind.as_str(), about.title.as_str()), ("page", "About me"));
    assert!(says(&report, "toml.md", "TOML") && says(&report, "_index.md", "section"), "{report}");
}

#[tokio::test]
async fn what_is_no_blog_is_refused_with_the_reason() {
    let blog = with_ada().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let feed = file("feed.xml", "<rss version=\"2.0\"><channel><title>x</title></channel></rss>");
    let whole = std::fs::read_to_string(fixture("wordpress.xml")).unwrap();
    let cut = file("cut.xml", whole.split("<item>").next().unwrap());
    let broken = file("broken.xml", "<rss><channel></rss>");
    for (path, words) in
        [(feed, "no WordPress export"), (broken, "no XML at byte"), (cut, "ends inside of channel")]
    {
        let error = import(&blog.app.store, asked(&path)).await.unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(path.to_str().unwrap()), "{words}: {error}");
    }
    let text = file("blog.txt", "x");
    assert!(Source::guess(&text).unwrap_err().to_string().contains("WordPress export"));
    assert!(Source::guess(Path::new("/nothing/here")).unwrap_err().to_string().contains("no such file"));
    std::fs::write(folder.path().join("a.md"), "---\ntitle: x\ndate: 2024-01-01\n---\nText").unwrap();
    let nobody = Options { author: None, ..asked(folder.path()) };
    let error = import(&blog.app.store, nobody).await.unwrap_err().to_string();
    assert!(error.contains("a.md") && error.contains("--author"), "{error}");
}

/// A blog with everything that an export holds.
async fn full(store: &Store, place: &Place, folder: &Path) {
    blog::seed::fill(store, 30, Some("!hash")).await.unwrap();
    let hexo = copied("hexo", &["source/images/banner.png", "source/_posts/canary/steps.png"]);
    let asked = Options { place: place.clone(), author: Some("demo".to_owned()), ..asked(hexo.path()) };
    import(store, asked).await.unwrap();
    let wordpress = Options { author: Some("demo".to_owned()), ..asked_of(&fixture("wordpress.xml"), place) };
    import(store, wordpress).await.unwrap();
    let post = store.post_by_slug("canary").await.unwrap().unwrap();
    let mut draft = blog::store::Draft {
        kind: "post",
        title: "Renamed".to_owned(),
        body: "Another text.".to_owned(),
        publication: blog::store::Publication::Archived,
        ..blog::store::Draft::default()
    };
    let saved = store.update_post((post.id, 1), &draft, post.author_id, NOW).await.unwrap();
    draft.body = "A third text.".to_owned();
    store.update_post((post.id, saved.version), &draft, post.author_id, NOW + 5).await.unwrap();
    store.add_views(&[(post.id, 7)]).await.unwrap();
    store.audit("demo", ("post.save", "canary"), "", NOW).await.unwrap();
    std::fs::create_dir_all(folder).unwrap();
}

fn asked_of(path: &Path, place: &Place) -> Options {
    Options { place: place.clone(), ..asked(path) }
}

/// What an export holds, without the numbers that a database gives.
fn content(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for name in ["settings.json", "users.jsonl", "pictures.jsonl", "posts.jsonl"] {
        for line in std::fs::read_to_string(folder.join(name)).unwrap().lines() {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            let object = value.as_object_mut().unwrap();
            object.remove("id");
            // An account and what it was made for come at the time of the import.
            if name == "users.jsonl" {
                object.remove("created_at");
            }
            if let Some(comments) = object.get_mut("comments").and_then(|list| list.as_array_mut()) {
                let ids: Vec<_> = comments.iter().map(|comment| comment["id"].clone()).collect();
                for comment in comments {
                    comment["answers"] = ids.iter().position(|id| *id == comment["answers"]).into();
                    comment.as_object_mut().unwrap().remove("id");
                }
            }
            all.push(format!("{name} {value}"));
        }
    }
    let mut files: Vec<_> = std::fs::read_dir(folder.join("pictures"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            format!("{} {}", path.file_name().unwrap().display(), std::fs::metadata(&path).unwrap().len())
        })
        .collect();
    all.append(&mut files);
    all.sort();
    all
}

async fn round_trip(from: &Store, to: &Store) {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let place = Place::Folder(folder.path().join("kept"));
    full(from, &place, folder.path()).await;
    let done = export(from, &place, &one, NOW).await.unwrap();
    assert!(done.posts > 35 && done.comments > 20 && done.pictures > 10 && done.accounts > 4, "{done:?}");
    let report = import(to, asked(&one)).await.unwrap();
    assert_eq!(report.posts + report.pages, done.posts, "{report}");
    export(to, &Place::Database, &two, NOW).await.unwrap();
    let (sent, came) = (content(&one), content(&two));
    for (sent, came) in sent.iter().zip(&came) {
        assert_eq!(sent, came);
    }
    assert_eq!(sent.len(), came.len());
    let again = import(to, asked(&one)).await.unwrap();
    assert_eq!((again.posts, again.pages, again.comments, again.accounts), (0, 0, 0, 0), "{again}");
    assert_eq!(again.known, done.posts);
    let taken = export(from, &place, &one, NOW).await.unwrap_err().to_string();
    assert!(taken.contains("exists"), "an export never writes over anything: {taken}");
}

#[tokio::test]
async fn everything_that_is_exported_comes_back_into_an_empty_blog() {
    let folder = tempfile::tempdir().unwrap();
    let from = migrated(&DatabaseUrl::Sqlite(folder.path().join("from.db"))).await;
    let to = migrated(&DatabaseUrl::Sqlite(folder.path().join("to.db"))).await;
    round_trip(&from, &to).await;
}

#[tokio::test]
async fn a_blog_moves_from_sqlite_to_postgresql() {
    let Some(url) = postgres::database().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let from = migrated(&DatabaseUrl::Sqlite(folder.path().join("from.db"))).await;
    round_trip(&from, &migrated(&url).await).await;
}

#[tokio::test]
async fn only_its_owner_may_read_an_export() {
    use std::os::unix::fs::PermissionsExt as _;
    let blog = with_ada().await;
    let folder = blog.folder.path().join("export");
    export(&blog.app.store, &Place::Database, &folder, NOW).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("users.jsonl"))), (0o700, 0o600));
}

#[tokio::test]
async fn an_export_of_a_newer_format_is_refused_by_name() {
    let blog = with_ada().await;
    let folder = blog.folder.path().join("export");
    export(&blog.app.store, &Place::Database, &folder, NOW).await.unwrap();
    std::fs::write(folder.join("manifest.json"), r#"{"format": 2, "site": "x", "exported_at": 0}"#).unwrap();
    let error = import(&blog.app.store, asked(&folder)).await.unwrap_err().to_string();
    assert!(error.contains("format is 2") && error.contains("newer release"), "{error}");
}

#[tokio::test]
async fn a_check_finds_links_and_pictures_that_lead_nowhere() {
    let blog = with_ada().await;
    let store = &blog.app.store;
    blog.write_with(&[("title", "Here"), ("body", "x"), ("tags", "Rust")]).await;
    let fine = "[a](/posts/here) [b](/tags/rust#top) [c](/archive/2024/01) [d](https://a.example/x) [e](#top) [f](/)";
    blog.write("Fine", fine).await;
    let findings = check(store, &Place::Database).await;
    assert!(findings.iter().all(|finding| finding.severity == Severity::Fine), "{findings:#?}");
    blog.write("Broken", "[a](/posts/nowhere) ![b](/media/none.png) [c](/tags/none) [d](/wp-admin/)").await;
    let findings = check(store, &Place::Database).await;
    let bad: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Warning).collect();
    assert_eq!(bad.len(), 4, "{bad:#?}");
    assert!(bad.iter().all(|finding| finding.what.contains("Broken")));
}

#[tokio::test]
async fn a_check_says_what_is_missing_before_anything_works() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&DatabaseUrl::Sqlite(folder.path().join("empty.db"))).await.unwrap();
    let findings = check(&store, &Place::Database).await;
    assert_eq!(findings.len(), 1);
    assert!(findings[0].severity == Severity::Failure && findings[0].said.contains("blog migrate"));
    let empty = TestBlog::empty().await;
    let findings = check(&empty.app.store, &Place::Database).await;
    assert!(findings.iter().any(|finding| finding.said.contains("blog user create")), "{findings:#?}");
}
