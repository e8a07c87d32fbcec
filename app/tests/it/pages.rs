//! Pages, as sentences.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use blog::store::Role;
use blog::web::faults::Faults;

use crate::support::{BROWSER, TestBlog, options};

#[tokio::test]
async fn an_empty_blog_shows_a_friendly_home_page() {
    let blog = TestBlog::empty().await;
    let home = blog.get("/").await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.body.contains("No posts here yet."), "{}", home.body);
    assert_eq!(home.header("x-app-version"), "v1");
}

#[tokio::test]
async fn pages_are_chinese_or_english_as_the_browser_asks_and_the_switch_wins() {
    let blog = TestBlog::seeded(3).await;
    let zh = blog.get_with("/", &[("accept-language", "zh-CN,zh;q=0.9")]).await;
    assert!(zh.body.contains("<html lang=\"zh-CN\"") && zh.body.contains("归档"));
    let en = blog.get("/").await;
    assert!(en.body.contains("<html lang=\"en\"") && en.body.contains("Archive"));
    let switch = blog.get("/preferences?lang=zh&next=%2Ftags").await;
    assert_eq!((switch.status, switch.header("location")), (StatusCode::SEE_OTHER, "/tags"));
    let cookie = switch.header("set-cookie").split(';').next().unwrap().to_owned();
    let chosen = blog.get_with("/", &[("accept-language", "en"), ("cookie", &cookie)]).await;
    assert!(chosen.body.contains("<html lang=\"zh-CN\""));
}

#[tokio::test]
async fn following_older_and_newer_visits_every_post_once_and_comes_back() {
    let blog = TestBlog::seeded(47).await;
    let titles = |body: &str| -> Vec<String> {
        body.split("<h2><a href=\"/posts/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    let link = |body: &str, rel: &str| -> Option<String> {
        let rest = body.split(&format!("rel=\"{rel}\" href=\"")).nth(1)?;
        Some(rest.split('"').next().unwrap().to_owned())
    };
    let mut path = "/".to_owned();
    let mut pages = Vec::new();
    for _ in 0..10 {
        let page = blog.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        pages.push(titles(&page.body));
        match link(&page.body, "next") {
            Some(next) => path = next,
            None => break,
        }
    }
    let mut seen: Vec<String> = pages.concat();
    assert_eq!(seen.len(), 47);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 47, "no post twice");
    let mut back = Vec::new();
    while let Some(previous) = link(&blog.get(&path).await.body, "prev") {
        path = previous;
        back.push(titles(&blog.get(&path).await.body));
    }
    back.reverse();
    assert_eq!(back, pages[..pages.len() - 1], "the way back shows the same pages");
}

#[tokio::test]
async fn a_post_in_chinese_is_found_by_its_own_address_and_by_words_of_two_characters() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    blog.write("灰度发布的第一天", "今天我们把权重调到百分之一。Rust is fast.").await;
    let blog = blog.signed_out();
    let page =
        blog.get("/posts/%E7%81%B0%E5%BA%A6%E5%8F%91%E5%B8%83%E7%9A%84%E7%AC%AC%E4%B8%80%E5%A4%A9").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<h1>灰度发布的第一天</h1>"));
    for word in ["灰度", "发布", "权重", "rust", "RUS", "百分之一"] {
        let found = blog.get(&format!("/search?q={}", blog::text::url_segment(word))).await;
        assert!(found.body.contains("class=\"result\""), "{word} is not found");
        assert!(found.body.contains("<mark>"), "{word} is not marked");
    }
    for word in ["重权", "灰发", "golang"] {
        let found = blog.get(&format!("/search?q={}", blog::text::url_segment(word))).await;
        assert!(!found.body.contains("class=\"result\""), "{word} must not be found");
    }
}

#[tokio::test]
async fn a_renamed_post_redirects_from_its_old_address() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let id = blog.write("Old name", "text").await;
    let path = format!("/desk/posts/{id}");
    let fields =
        [("title", "New name"), ("slug", ""), ("body", "text"), ("version", "1"), ("action", "save")];
    assert_eq!(blog.post(&path, &fields).await.status, StatusCode::SEE_OTHER);
    let blog = blog.signed_out();
    let old = blog.get("/posts/old-name").await;
    assert_eq!((old.status, old.header("location")), (StatusCode::PERMANENT_REDIRECT, "/posts/new-name"));
    assert_eq!(blog.get("/posts/new-name").await.status, StatusCode::OK);
}

#[tokio::test]
async fn drafts_scheduled_and_archived_posts_are_for_their_authors_only() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    blog.write_with(&[("title", "Draft"), ("body", "b"), ("action", "draft")]).await;
    blog.write_with(&[("title", "Later"), ("body", "b"), ("publish_at", "2999-01-01T08:00")]).await;
    let id = blog.write("Gone", "b").await;
    let fields = [("title", "Gone"), ("body", "b"), ("version", "1"), ("action", "archive")];
    blog.post(&format!("/desk/posts/{id}"), &fields).await;
    for slug in ["draft", "later", "gone"] {
        assert_eq!(blog.get(&format!("/posts/{slug}")).await.status, StatusCode::OK, "{slug} for its author");
    }
    let blog = blog.signed_out();
    for slug in ["draft", "later", "gone"] {
        assert_eq!(
            blog.get(&format!("/posts/{slug}")).await.status,
            StatusCode::NOT_FOUND,
            "{slug} for readers"
        );
    }
    let feed = blog.get("/feed.xml").await;
    assert!(!feed.body.contains("<entry>"), "{}", feed.body);
    assert!(!blog.get("/search?q=b").await.body.contains("class=\"result\""));
}

#[tokio::test]
async fn a_comment_waits_for_approval_and_then_everybody_sees_it() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    blog.write("Open", "text").await;
    let form =
        [("name", "小林"), ("body", "写得**好** <script>alert(1)</script>"), ("email", "x@example.org")];
    let reader = blog.second_process(options()).await.signed_out();
    let sent = reader.post("/posts/open/comments", &form).await;
    assert_eq!(sent.header("location"), "/posts/open?comment=pending#comments");
    assert!(!reader.get("/posts/open").await.body.contains("写得"));
    let queue = blog.get("/desk/comments").await;
    assert!(
        queue.body.contains("写得<strong>好</strong>") && queue.body.contains("x@example.org"),
        "{}",
        queue.body
    );
    let approved =
        blog.post("/desk/comments", &[("action", "approved"), ("id", "1"), ("back", "pending")]).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER);
    let page = reader.get("/posts/open").await;
    assert!(page.body.contains("写得<strong>好</strong>"), "the other process must see it at once");
    assert!(page.body.contains("&lt;script&gt;alert(1)") && !page.body.contains("<script>alert"));
    assert!(!page.body.contains("x@example.org"), "addresses are never shown");
}

#[tokio::test]
async fn a_reply_stands_under_its_comment_and_not_under_one_of_another_post() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    blog.write("One", "text").await;
    blog.write("Two", "text").await;
    blog.post("/posts/one/comments", &[("body", "first")]).await;
    blog.post("/posts/one/comments", &[("body", "answer"), ("parent", "1")]).await;
    blog.post("/posts/one/comments", &[("body", "deep"), ("parent", "2")]).await;
    let page = blog.get("/posts/one").await.body;
    let list = page.split("answers-list").nth(1).unwrap();
    assert!(list.contains("answer") && list.contains("deep") && list.contains("→ ed"), "{list}");
    let strange = blog.post("/posts/two/comments", &[("body", "x"), ("parent", "1")]).await;
    assert_eq!(strange.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_comment_that_can_not_be_kept_comes_back_with_its_text() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    blog.write("Open", "text").await;
    let blog = blog.signed_out();
    let long = "长".repeat(5_001);
    for (form, problem) in [
        (vec![("name", ""), ("body", "kept text")], "name"),
        (vec![("name", "x"), ("body", "   ")], "1 to 5000"),
        (vec![("name", "x"), ("body", long.as_str())], "5001"),
        (vec![("name", "x"), ("body", "kept text"), ("url", "javascript:alert(1)")], "https://"),
        (vec![("name", "x"), ("body", "kept text"), ("email", "nobody")], "email"),
    ] {
        let answer = blog.post_with("/posts/open/comments", &form, &[("accept-language", "en")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let alert = answer.body.split("role=\"alert\">").nth(1).unwrap().split('<').next().unwrap();
        assert!(alert.contains(problem), "{alert}");
        let body = form.iter().find(|(name, _)| *name == "body").unwrap().1;
        assert!(answer.body.contains(body), "what was typed is still there");
    }
}

#[tokio::test]
async fn programs_that_fill_in_the_hidden_field_or_flood_are_held_off() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    blog.write("Open", "text").await;
    let reader = blog.second_process(options()).await.signed_out();
    let trapped =
        reader.post("/posts/open/comments", &[("name", "x"), ("body", "spam"), ("homepage", "y")]).await;
    assert_eq!(trapped.status, StatusCode::SEE_OTHER);
    let mut refused = 0;
    for number in 0..8 {
        let body = format!("comment {number}");
        let answer = reader.post("/posts/open/comments", &[("name", "x"), ("body", &body)]).await;
        refused += usize::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 2);
    let queue = blog.get("/desk/comments").await.body;
    assert!(!queue.contains("spam</p>") && queue.contains("comment 5") && !queue.contains("comment 6"));
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    blog.write("Open", "text").await;
    for headers in [
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("sec-fetch-site", "same-site"), ("origin", "http://other.blog.test")],
    ] {
        let answer = blog.post_with("/posts/open/comments", &[("body", "forged")], &headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(answer.body.contains("came from another site"), "{}", answer.body);
    }
    assert!(!blog.get("/posts/open").await.body.contains("forged"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same_and_guessing_is_slowed() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await.signed_out();
    let wrong = blog.post("/login", &[("username", "ada"), ("password", "wrong")]).await;
    let unknown = blog.post("/login", &[("username", "nobody"), ("password", "wrong")]).await;
    assert_eq!((wrong.status, unknown.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(wrong.body.replace("ada", "nobody"), unknown.body);
    let mut last = StatusCode::OK;
    for _ in 0..9 {
        last = blog.post("/login", &[("username", "ada"), ("password", "wrong")]).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let right = blog.post("/login", &[("username", "ada"), ("password", "correct horse battery")]).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS, "even the right password waits");
}

#[tokio::test]
async fn the_session_cookie_is_safe_and_ends_when_signed_out() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    assert_eq!(blog.get("/desk").await.status, StatusCode::OK);
    let out = blog.post("/logout", &[]).await;
    let cookie = out.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=0"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let desk = blog.get("/desk").await;
    assert_eq!((desk.status, desk.header("location")), (StatusCode::SEE_OTHER, "/login?next=%2Fdesk"));
}

#[tokio::test]
async fn authors_edit_their_own_posts_and_editors_all() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let id = blog.write("Hers", "text").await;
    let other = blog.second_process(options()).await.signed_out().signed_in("bob", Role::Author).await;
    assert_eq!(other.get(&format!("/desk/posts/{id}")).await.status, StatusCode::FORBIDDEN);
    assert!(!other.get("/desk").await.body.contains("Hers"));
    assert_eq!(other.get("/desk/comments").await.status, StatusCode::FORBIDDEN);
    let editor = other.signed_out().signed_in("ed", Role::Editor).await;
    assert_eq!(editor.get(&format!("/desk/posts/{id}")).await.status, StatusCode::OK);
    assert!(editor.get("/desk").await.body.contains("Hers"));
}

#[tokio::test]
async fn an_edit_conflict_is_shown_and_no_text_is_lost() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let id = blog.write("Shared", "first").await;
    let path = format!("/desk/posts/{id}");
    let save = |body: &'static str, version: &'static str| {
        [("title", "Shared"), ("body", body), ("version", version), ("action", "save")]
    };
    assert_eq!(blog.post(&path, &save("theirs", "1")).await.status, StatusCode::SEE_OTHER);
    let conflict = blog.post(&path, &save("mine", "1")).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    assert!(
        conflict.body.contains("mine") && conflict.body.contains("<pre>theirs</pre>"),
        "{}",
        conflict.body
    );
    assert!(conflict.body.contains("name=\"version\" value=\"2\""), "saving again then overwrites knowingly");
    assert!(blog.get("/posts/shared").await.body.contains("theirs"));
}

#[tokio::test]
async fn nothing_that_an_author_types_becomes_script() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let attack = "\"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}";
    let cover = [("title", "x"), ("body", "x"), ("cover", "\"onerror=alert(3)")];
    assert_eq!(blog.post("/desk/posts", &cover).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    blog.write_with(&[
        ("title", attack),
        ("slug", "attack"),
        ("body", attack),
        ("summary", attack),
        ("category", "<script>alert(1)</script>"),
        ("tags", "<script>alert(1)</script>, \"><img src=x>"),
    ])
    .await;
    for path in
        ["/", "/posts/attack", "/tags", "/categories", "/feed.xml", "/rss.xml", "/search?q=alert", "/desk"]
    {
        let page = blog.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.body.contains("<script>alert"), "{path}: {}", page.body);
        assert!(!page.body.contains("<img src=x"), "{path}: {}", page.body);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    }
    // JSON needs no escape for `<`; what keeps it from being read as a page is its type.
    let json = blog.get("/feed.json").await;
    assert_eq!(json.header("content-type"), "application/feed+json; charset=utf-8");
    assert_eq!(json.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn a_browser_that_has_the_page_gets_304_until_anything_changes_in_any_process() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    blog.write("Open", "text").await;
    let reader = blog.second_process(options()).await.signed_out();
    for path in ["/", "/posts/open", "/feed.xml", "/tags"] {
        let first = reader.get(path).await;
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with("W/\""), "{path}: {etag}");
        let again = reader.get_with(path, &[("accept-language", "en"), ("if-none-match", &etag)]).await;
        assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
        let third = blog.second_process(options()).await.signed_out();
        let same = third.get_with(path, &[("accept-language", "en"), ("if-none-match", &etag)]).await;
        assert_eq!(same.status, StatusCode::NOT_MODIFIED, "{path}: the tag is the same in every process");
        blog.write("Another", "text").await;
        let changed = reader.get_with(path, &[("accept-language", "en"), ("if-none-match", &etag)]).await;
        assert_eq!(changed.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn views_count_readers_also_when_the_page_was_kept_and_programs_never() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    let id = blog.write("Open", "text").await;
    let reader = blog.second_process(options()).await.signed_out();
    for _ in 0..3 {
        reader.get("/posts/open").await;
    }
    let request =
        |agent: &str| Request::get("/posts/open").header("user-agent", agent).body(Body::empty()).unwrap();
    reader.send(request("curl/8.0")).await;
    reader.send(request("Mozilla/5.0 (compatible; bingbot/2.0)")).await;
    let mut head = request(BROWSER);
    *head.method_mut() = axum::http::Method::HEAD;
    reader.send(head).await;
    let waiting = reader.app.take_views();
    assert_eq!(waiting, [(id, 3)]);
    reader.app.store.add_views(&waiting).await.unwrap();
    assert!(blog.get("/desk").await.body.contains("<td class=\"number\">3</td>"));
}

#[tokio::test]
async fn assets_of_another_version_are_answered_and_never_missing() {
    let blog = TestBlog::empty().await;
    let home = blog.get("/").await.body;
    let css = home
        .split("href=\"")
        .find(|part| part.starts_with("/assets/blog."))
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let own = blog.get(css).await;
    assert_eq!(own.header("cache-control"), "public, max-age=31536000, immutable");
    let other = blog.get("/assets/blog.0123456789ab.css").await;
    assert_eq!((other.status, other.header("cache-control")), (StatusCode::OK, "public, max-age=60"));
    assert_eq!(other.body, own.body);
    assert_eq!(blog.get("/assets/accent-b91c1c.css").await.body, ":root{--accent-base:#b91c1c}\n");
    assert_eq!(blog.get("/assets/accent-red;}.css").await.status, StatusCode::NOT_FOUND);
    assert_eq!(blog.get("/assets/../Cargo.toml").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_page_carries_the_headers_that_keep_it_safe() {
    let blog = TestBlog::seeded(2).await;
    for path in ["/", "/nope", "/login", "/healthz", "/feed.xml"] {
        let answer = blog.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-app-version"), "v1", "{path}");
    }
}

#[tokio::test]
async fn strange_requests_get_an_answer_that_helps() {
    let blog = TestBlog::seeded(3).await;
    for (path, status) in [
        ("/posts/nothing-here", StatusCode::NOT_FOUND),
        ("/posts/%FF%FE", StatusCode::BAD_REQUEST),
        ("/archive/2026/13", StatusCode::NOT_FOUND),
        ("/archive/x/y", StatusCode::BAD_REQUEST),
        ("/tags/none", StatusCode::NOT_FOUND),
        ("/?before=nonsense", StatusCode::OK),
        ("/?before=9223372036854775807-9223372036854775807", StatusCode::OK),
        ("/?after=-9223372036854775808-1", StatusCode::OK),
        ("/search?q=%00%27%22%29%20OR%201", StatusCode::OK),
        ("/search?page=99999999999999999999", StatusCode::BAD_REQUEST),
        ("/search?page=18446744073709551615", StatusCode::OK),
    ] {
        assert_eq!(blog.get(path).await.status, status, "{path}");
    }
    let twice = blog.post("/login", &[("username", "a"), ("username", "b"), ("password", "c")]).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        twice.body.contains("<!doctype html>") && twice.body.contains("duplicate field"),
        "{}",
        twice.body
    );
    let missing = blog.get("/posts/nothing-here").await.body;
    assert!(missing.contains("role=\"search\"") && missing.contains("Back to the home page"));
}

#[tokio::test]
async fn a_form_that_is_too_large_is_refused() {
    let blog = TestBlog::seeded(1).await;
    let big = "x".repeat(300 << 10);
    let answer = blog.post("/login", &[("username", "a"), ("password", &big)]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn faults_hit_pages_and_spare_probes_and_are_announced() {
    let faults = Faults { error_rate: 1.0, slow_rate: 0.0, slow: Duration::ZERO };
    let blog = TestBlog::with(blog::web::Options { faults, ..options() }).await;
    let page = blog.get("/").await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(page.body.contains("Fault injection is on"));
    for path in ["/healthz", "/readyz", "/startupz", "/version", "/assets/blog.0.css"] {
        assert_eq!(blog.get(path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn without_its_database_the_blog_says_so_and_is_not_restarted_for_it() {
    let blog = TestBlog::seeded(3).await;
    blog.app.store.close().await;
    assert_eq!(blog.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(blog.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let page = blog.get("/").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.body.contains("recovers by itself"), "{}", page.body);
    assert_eq!(page.header("retry-after"), "5");
}

#[tokio::test]
async fn what_was_typed_comes_back_when_the_database_is_away() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    blog.write("Open", "text").await;
    blog.app.store.close().await;
    for (path, field) in
        [("/posts/open/comments", "body"), ("/desk/posts", "body"), ("/desk/posts/1", "title")]
    {
        let answer = blog.post(path, &[(field, "长长的 <text> \"typed\""), ("version", "1")]).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(answer.body.contains("长长的 &#60;text&#62; &#34;typed&#34;"), "{path}: {}", answer.body);
        assert!(answer.body.contains(&format!("action=\"{path}\"")), "{path}: one click tries again");
    }
}

#[tokio::test]
async fn what_was_typed_comes_back_when_the_session_has_ended() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await.signed_out();
    let answer = blog.post("/desk/posts", &[("title", "Kept title"), ("body", "kept body")]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.contains("kept body") && answer.body.contains("Kept title"), "{}", answer.body);
    assert!(answer.body.contains("/login"));
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_a_session_can_be_ended_from_the_list() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let phone = blog.second_process(options()).await.signed_out().sign_in("ada").await;
    let page = blog.get("/desk/account").await.body;
    assert_eq!(page.matches("name=\"action\" value=\"end\"").count(), 1, "the own session has no button");
    let wrong = [("action", "password"), ("current", "wrong"), ("password", "a new long password")];
    assert_eq!(blog.post("/desk/account", &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(phone.get("/desk").await.status, StatusCode::OK);
    let right =
        [("action", "password"), ("current", "correct horse battery"), ("password", "a new long password")];
    assert_eq!(blog.post("/desk/account", &right).await.status, StatusCode::SEE_OTHER);
    assert_eq!(phone.get("/desk").await.status, StatusCode::SEE_OTHER, "the phone is signed out");
    assert_eq!(blog.get("/desk").await.status, StatusCode::OK, "the one that changed it stays");
}

#[tokio::test]
async fn an_invitation_makes_one_account_and_works_once() {
    let blog = TestBlog::empty().await.signed_in("root", Role::Admin).await;
    let page = blog.post("/desk/users", &[("action", "invite"), ("role", "editor")]).await.body;
    let path = page.split("http://blog.test").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let guest = blog.second_process(options()).await.signed_out();
    assert_eq!(guest.get(&path).await.status, StatusCode::OK);
    let short = [("username", "eve"), ("password", "short")];
    assert_eq!(guest.post(&path, &short).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let taken = [("username", "Root"), ("password", "correct horse battery")];
    assert_eq!(guest.post(&path, &taken).await.status, StatusCode::CONFLICT);
    let join = [("username", "Eve"), ("display_name", "Eve E."), ("password", "correct horse battery")];
    assert_eq!(guest.post(&path, &join).await.header("location"), "/login");
    assert_eq!(guest.post(&path, &join).await.status, StatusCode::NOT_FOUND, "it is used up");
    let eve = guest.sign_in("eve").await;
    assert_eq!(eve.get("/desk/comments").await.status, StatusCode::OK, "an editor, as invited");
    assert_eq!(eve.get("/desk/users").await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        eve.post("/desk/users", &[("action", "invite"), ("role", "admin")]).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn the_last_administrator_can_not_be_shut_out_and_a_disabled_account_is_out_at_once() {
    let blog = TestBlog::empty().await.signed_in("root", Role::Admin).await;
    let own = [("action", "standing"), ("id", "1"), ("role", "author")];
    assert_eq!(blog.post("/desk/users", &own).await.status, StatusCode::CONFLICT);
    let bob = blog.second_process(options()).await.signed_out().signed_in("bob", Role::Author).await;
    let shut = [("action", "standing"), ("id", "2"), ("role", "author"), ("disabled", "on")];
    assert_eq!(blog.post("/desk/users", &shut).await.status, StatusCode::SEE_OTHER);
    assert_eq!(bob.get("/desk").await.status, StatusCode::SEE_OTHER);
    assert!(blog.get("/desk/audit").await.body.contains("user.standing"));
}

#[tokio::test]
async fn an_earlier_text_is_compared_and_restored_as_a_new_save() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let id = blog.write("Story", "first line\nsecond line").await;
    let path = format!("/desk/posts/{id}");
    let save =
        [("title", "Story"), ("body", "first line\nchanged line"), ("version", "1"), ("action", "save")];
    blog.post(&path, &save).await;
    let old = blog.get(&format!("{path}/revisions/1")).await.body;
    assert!(old.contains("<span class=\"hl-del\">− second line"), "{old}");
    assert!(old.contains("<span class=\"hl-add\">+ changed line"), "{old}");
    let restored = blog.post(&format!("{path}/revisions/1"), &[("present", "2")]).await;
    assert_eq!(restored.status, StatusCode::SEE_OTHER);
    assert!(blog.get("/posts/story").await.body.contains("second line"));
    assert!(
        blog.get(&format!("{path}/revisions")).await.body.contains("/revisions/3"),
        "nothing was thrown away"
    );
    let late = blog.post(&format!("{path}/revisions/2"), &[("present", "2")]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn what_was_typed_and_not_saved_is_offered_again_and_forgotten_after_a_save() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let id = blog.write("Story", "saved").await;
    let (path, number) = (format!("/desk/posts/{id}"), id.to_string());
    let typed = [("post", number.as_str()), ("version", "1"), ("title", "Story"), ("body", "typed only")];
    assert_eq!(blog.post("/desk/autosave", &typed).await.status, StatusCode::NO_CONTENT);
    let editor = blog.get(&path).await.body;
    assert!(editor.contains("?resume=1") && !editor.contains(">typed only<"), "{editor}");
    assert!(blog.get(&format!("{path}?resume=1")).await.body.contains(">typed only<"));
    assert!(blog.get("/posts/story").await.body.contains("saved"), "readers see what is saved");
    let other = blog.second_process(options()).await.signed_out().signed_in("bob", Role::Author).await;
    assert_eq!(other.post("/desk/autosave", &typed).await.status, StatusCode::FORBIDDEN);
    let save = [("title", "Story"), ("body", "typed only"), ("version", "1"), ("action", "save")];
    blog.post(&path, &save).await;
    assert!(!blog.get(&path).await.body.contains("?resume=1"));
}

#[tokio::test]
async fn a_preview_is_what_readers_will_get() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let body = "## 标题\n\n**bold** <script>alert(1)</script>";
    let part = blog.post("/desk/preview", &[("body", body), ("fragment", "1")]).await.body;
    assert!(part.contains("<strong>bold</strong>") && !part.contains("<script"), "{part}");
    blog.write("Real", body).await;
    assert!(blog.get("/posts/real").await.body.contains(part.trim()));
    assert_eq!(blog.signed_out().post("/desk/preview", &[("body", "x")]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn renaming_a_tag_to_another_merges_both_and_deleting_keeps_the_posts() {
    let blog = TestBlog::empty().await.signed_in("ed", Role::Editor).await;
    blog.write_with(&[("title", "One"), ("body", "x"), ("tags", "k8s"), ("category", "Ops")]).await;
    blog.write_with(&[("title", "Two"), ("body", "x"), ("tags", "Kubernetes，k8s")]).await;
    let rename = [("kind", "tag"), ("id", "1"), ("name", "Kubernetes"), ("action", "rename")];
    assert_eq!(blog.post("/desk/terms", &rename).await.status, StatusCode::SEE_OTHER);
    assert_eq!(blog.get("/tags/k8s").await.status, StatusCode::NOT_FOUND);
    assert!(blog.get("/tags/kubernetes").await.body.contains("2 posts"));
    blog.post("/desk/terms", &[("kind", "category"), ("id", "1"), ("action", "delete")]).await;
    assert_eq!(blog.get("/posts/one").await.status, StatusCode::OK);
}

#[tokio::test]
async fn settings_show_on_every_page_of_every_process_and_nonsense_is_refused() {
    let blog = TestBlog::empty().await.signed_in("root", Role::Admin).await;
    let reader = blog.second_process(options()).await.signed_out();
    assert!(reader.get("/").await.body.contains("Huidu Blog"));
    let good = [("title", "新名字"), ("time_zone", "Europe/Berlin"), ("page_size", "5")];
    assert_eq!(blog.post("/desk/settings", &good).await.status, StatusCode::SEE_OTHER);
    assert!(reader.get("/").await.body.contains("<title>新名字</title>"));
    for (field, value) in
        [("title", ""), ("time_zone", "Mars/Olympus"), ("page_size", "0"), ("page_size", "many")]
    {
        let form = good.map(|(name, old)| (name, if name == field { value } else { old }));
        let answer = blog.post("/desk/settings", &form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(answer.body.contains("role=\"alert\""), "{field}");
    }
}
