//! What readers are given, feature by feature.

use axum::http::{Request, StatusCode};
use blog::store::{Role, Store};
use serde_json::Value;

use crate::support::{BROWSER, TestBlog, options};

/// Everything that Markdown has here.
const EVERYTHING: &str = "Opening words.\n\n## 安装 Install\n\n```rust\nfn main() { println!(\"灰度\"); } // hi\n```\n\n\
    ## Table\n\n| Name | 数量 |\n|:--|--:|\n| stable | 99 |\n\n### Tasks\n\n- [x] done\n- [ ] open\n\n\
    ## Install\n\nA note[^n], ~~gone~~, <b>bold</b> and https://example.org.\n\n[^n]: Of the note.\n";

/// The part of a page between two texts.
fn part<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let rest = page.split_once(from).unwrap_or_else(|| panic!("no {from} in {page}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} after {from}")).0
}

/// What stands in `main`, as a snapshot can keep it.
fn main_of(page: &str) -> String {
    let inner = part(page, "<main", "</main>").split_once('>').unwrap().1;
    inner.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The whole page with the names of its assets made steady.
fn steady(page: &str) -> String {
    let mut out = String::new();
    for (index, piece) in page.split("/assets/").enumerate() {
        if index == 0 {
            out.push_str(piece);
            continue;
        }
        let (name, rest) = piece.split_once('"').unwrap();
        let (stem, extension) = (name.split(['.', '-']).next().unwrap(), name.rsplit('.').next().unwrap());
        out.push_str(&format!("/assets/{stem}.[hash].{extension}\"{rest}"));
    }
    out.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

async fn story() -> TestBlog {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    for (number, title) in ["First", "Second", "第三篇"].into_iter().enumerate() {
        let at = format!("2026-0{}-15T08:00", number + 1);
        let fields =
            [("title", title), ("body", "text"), ("tags", "灰度, Rust"), ("publish_at", at.as_str())];
        blog.write_with(&fields).await;
    }
    blog.write_with(&[
        ("title", "Everything"),
        ("body", EVERYTHING),
        ("category", "工程"),
        ("tags", "灰度"),
        ("publish_at", "2026-03-20T08:00"),
    ])
    .await;
    blog.signed_out()
}

#[tokio::test]
async fn a_post_shows_tables_footnotes_tasks_code_and_a_table_of_contents() {
    let page = story().await.get("/posts/everything").await.body;
    insta::assert_snapshot!("post", main_of(&page));
    let contents = part(&page, "<aside class=\"side toc\"", "</aside>");
    for anchor in ["#安装-install", "#table", "#tasks", "#install"] {
        assert!(contents.contains(&format!("href=\"{anchor}\"")), "{anchor} in {contents}");
        assert!(page.contains(&format!(" id=\"{}\"", &anchor[1..])), "{anchor} leads somewhere");
    }
}

#[tokio::test]
async fn the_pages_that_lead_to_posts_look_as_they_should() {
    let blog = story().await;
    insta::assert_snapshot!("home", steady(&blog.get("/").await.body));
    for (name, path) in [
        ("tag", "/tags/%E7%81%B0%E5%BA%A6"),
        ("tags", "/tags"),
        ("categories", "/categories"),
        ("archive", "/archive"),
        ("month", "/archive/2026/03"),
        ("search", "/search?q=%E7%AC%AC%E4%B8%89"),
        ("missing", "/posts/first-rpost"),
        ("login", "/login"),
    ] {
        insta::assert_snapshot!(name, main_of(&blog.get(path).await.body));
    }
}

#[tokio::test]
async fn previous_next_and_related_posts_lead_on() {
    let blog = story().await;
    let page = blog.get("/posts/second").await.body;
    let neighbours = part(&page, "<nav class=\"neighbours\"", "</nav>");
    assert!(part(neighbours, "rel=\"prev\"", "</a>").contains("/posts/first"), "{neighbours}");
    assert!(part(neighbours, "rel=\"next\"", "</a>").contains("第三篇"), "{neighbours}");
    let related = part(&page, "<section class=\"related\">", "</section>");
    let place = |title: &str| related.find(title).unwrap_or_else(|| panic!("{title} in {related}"));
    assert!(place("第三篇") < place("Everything"), "who shares two tags stands before who shares one");
    assert!(!related.contains("Second"), "a post is not related to itself");
}

#[tokio::test]
async fn a_page_stands_in_the_footer_and_outside_lists_feeds_and_comments() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    blog.write_with(&[("title", "关于我"), ("body", "who I am"), ("kind", "page")]).await;
    let blog = blog.signed_out();
    let home = blog.get("/").await.body;
    assert!(part(&home, "<footer", "</footer>").contains(">关于我</a>"));
    assert!(home.contains("No posts here yet."));
    assert!(!blog.get("/feed.xml").await.body.contains("<entry>"));
    let path = format!("/pages/{}", blog::text::url_segment("关于我"));
    let page = blog.get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("who I am") && !page.body.contains("id=\"write\""));
    let wrong = blog.get(&path.replace("/pages/", "/posts/")).await;
    assert_eq!((wrong.status, wrong.header("location")), (StatusCode::PERMANENT_REDIRECT, path.as_str()));
}

#[tokio::test]
async fn a_post_in_any_script_has_an_address_in_its_script() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    for (title, slug) in [
        ("灰度发布：入门", "灰度发布-入门"),
        ("Привет, мир!", "привет-мир"),
        ("カナリアリリース", "カナリアリリース"),
        ("مرحبا بالعالم", "مرحبا-بالعالم"),
        ("Ünïcödé", "ünïcödé"),
        ("🙂", "untitled"),
    ] {
        blog.write(title, "text").await;
        let page = blog.get(&format!("/posts/{}", blog::text::url_segment(slug))).await;
        assert_eq!(page.status, StatusCode::OK, "{slug}");
    }
    blog.write("🙃", "the second without letters").await;
    assert!(blog.get("/posts/untitled-2").await.body.contains("the second without letters"));
}

#[tokio::test]
async fn two_renames_lead_from_every_old_address_and_a_new_post_may_take_one() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let id = blog.write("One", "text").await;
    for (version, title) in [("1", "Two"), ("2", "Three")] {
        let save = [("title", title), ("body", "text"), ("version", version), ("action", "save")];
        assert_eq!(blog.post(&format!("/desk/posts/{id}"), &save).await.status, StatusCode::SEE_OTHER);
    }
    for old in ["/posts/one", "/posts/two"] {
        assert_eq!(blog.get(old).await.header("location"), "/posts/three", "{old}");
    }
    blog.write("One", "another one").await;
    assert!(blog.get("/posts/one").await.body.contains("another one"));
}

#[tokio::test]
async fn feeds_say_what_readers_of_feeds_need() {
    let blog = story().await;
    for path in ["/feed.xml", "/rss.xml", "/feed.json"] {
        let feed = blog.get(path).await;
        let kind = match path {
            "/feed.xml" => "application/atom+xml; charset=utf-8",
            "/rss.xml" => "application/rss+xml; charset=utf-8",
            _ => "application/feed+json; charset=utf-8",
        };
        assert_eq!(feed.header("content-type"), kind);
        // When a post was saved differs from run to run.
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap());
        let day = today.strftime("%Y-%m-%dT").to_string();
        let body: Vec<String> = feed
            .body
            .split(&day)
            .enumerate()
            .map(|(index, piece)| {
                if index == 0 { piece.to_owned() } else { format!("[now]{}", piece.get(14..).unwrap_or("")) }
            })
            .collect();
        insta::assert_snapshot!(path.trim_start_matches('/').replace('.', "-"), body.concat());
    }
    let feed: Value = serde_json::from_str(&blog.get("/feed.json").await.body).unwrap();
    let html = feed["items"][0]["content_html"].as_str().unwrap();
    assert!(
        html.contains("href=\"http://blog.test/posts/everything#fn-1\""),
        "links lead back to the blog: {html}"
    );
}

#[tokio::test]
async fn a_control_character_in_a_title_breaks_no_feed() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    blog.write("a\u{0}b\u{b}c\u{1b}d", "x\u{c}y\u{1}z").await;
    for path in ["/feed.xml", "/rss.xml", "/feed.json", "/sitemap.xml", "/posts/abcd"] {
        let body = blog.get(path).await.body;
        assert!(!body.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{path}");
        assert!(path.contains("sitemap") || body.contains("abcd"), "{path}: {body}");
    }
}

#[tokio::test]
async fn search_engines_find_every_post_once_and_are_told_its_one_address() {
    let blog = story().await;
    let robots = blog.get("/robots.txt").await.body;
    assert!(robots.contains("Disallow: /desk\n") && robots.contains("Sitemap: http://blog.test/sitemap.xml"));
    let index = blog.get("/sitemap.xml").await.body;
    let mut posts = Vec::new();
    for list in index.split("<loc>http://blog.test").skip(1).map(|rest| rest.split('<').next().unwrap()) {
        let body = blog.get(list).await.body;
        posts.extend(
            body.split("<loc>http://blog.test")
                .skip(1)
                .map(|rest| rest.split('<').next().unwrap().to_owned()),
        );
    }
    let all = posts.len();
    posts.sort();
    posts.dedup();
    assert_eq!(posts.len(), all, "nothing stands twice");
    assert_eq!(posts.iter().filter(|path| path.starts_with("/posts/")).count(), 4);
    for path in &posts {
        let page = blog.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let canonical = format!("<link rel=\"canonical\" href=\"http://blog.test{path}\">");
        assert!(page.body.contains(&canonical), "{path}");
        assert!(page.body.contains("name=\"robots\" content=\"index\""), "{path}");
    }
    for path in ["/search?q=a", "/login", "/?before=1770000000-1"] {
        assert!(blog.get(path).await.body.contains("name=\"robots\" content=\"noindex\""), "{path}");
    }
}

#[tokio::test]
async fn a_post_describes_itself_to_previews_and_search_engines() {
    let page = story().await.get("/posts/everything").await.body;
    for meta in [
        "property=\"og:type\" content=\"article\"",
        "property=\"og:title\" content=\"Everything\"",
        "property=\"og:url\" content=\"http://blog.test/posts/everything\"",
        "property=\"article:published_time\" content=\"2026-03-20T08:00:00+08:00\"",
        "name=\"description\" content=\"Opening words.",
    ] {
        assert!(page.contains(meta), "{meta}");
    }
    let data = part(&page, "<script type=\"application/ld+json\">", "</script>");
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["@type"], "BlogPosting");
    assert_eq!(data["headline"], "Everything");
    assert_eq!(data["mainEntityOfPage"], "http://blog.test/posts/everything");
    assert_eq!(data["author"]["name"], "ed");
}

#[tokio::test]
async fn pages_and_assets_are_compressed_as_the_browser_likes() {
    let blog = TestBlog::seeded(12).await;
    let css = part(&blog.get("/").await.body, "href=\"/assets/blog.", "\"").to_owned();
    for path in ["/", "/feed.xml", &format!("/assets/blog.{css}")] {
        let plain = blog.get_with(path, &[]).await;
        assert_eq!(plain.header("content-encoding"), "");
        for encoding in ["br", "gzip"] {
            let small = blog.get_with(path, &[("accept-encoding", encoding)]).await;
            assert_eq!(small.header("content-encoding"), encoding, "{path}");
            assert!(small.headers("vary").to_lowercase().contains("accept-encoding"), "{path}");
            assert!(small.bytes < plain.bytes / 2, "{path}: {} of {} bytes", small.bytes, plain.bytes);
        }
    }
}

#[tokio::test]
async fn a_reader_of_feeds_that_knows_only_dates_gets_304_until_something_changes() {
    let blog = story().await;
    blog.get("/feed.xml").await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let first = blog.get("/feed.xml").await;
    let date = first.header("last-modified").to_owned();
    assert!(date.ends_with(" GMT"), "{date}");
    let again = blog.get_with("/feed.xml", &[("if-modified-since", &date)]).await;
    assert_eq!((again.status, again.bytes), (StatusCode::NOT_MODIFIED, 0));
    let blog = blog.sign_in("ed").await;
    blog.write("Fresh", "text").await;
    let changed = blog.signed_out().get_with("/feed.xml", &[("if-modified-since", &date)]).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert!(changed.body.contains("Fresh"));
}

#[tokio::test]
async fn an_address_that_leads_nowhere_offers_a_search_for_its_words() {
    let blog = story().await;
    let missing = blog.get("/posts/everything-about-%E7%81%B0%E5%BA%A6?x=1").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(
        missing.body.contains("name=\"q\" type=\"search\" value=\"everything about 灰度\""),
        "{}",
        missing.body
    );
    let other = blog.get("/nothing/at/all").await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let method = blog.post("/tags", &[]).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(method.body.contains("<!doctype html>"), "{}", method.body);
}

#[tokio::test]
async fn every_view_counts_once_with_many_readers_in_many_processes() {
    let blog = story().await;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let process = blog.second_process(options()).await;
        tasks.push(tokio::spawn(async move {
            for round in 0..40 {
                let request = Request::get("/posts/first").header("user-agent", BROWSER);
                process.send(request.body(axum::body::Body::empty()).unwrap()).await;
                if round % 7 == 0 {
                    flush(&process).await;
                }
            }
            flush(&process).await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let post = blog.app.store.post_by_slug("first").await.unwrap().unwrap();
    assert_eq!(post.views, 120);
}

async fn flush(process: &TestBlog) {
    let store: &Store = &process.app.store;
    store.add_views(&process.app.take_views()).await.unwrap();
}
