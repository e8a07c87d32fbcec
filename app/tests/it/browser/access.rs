//! Every kind of page, light and dark, on a phone and on a desktop, checked by axe-core.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::json;

use super::{Browser, Site};
use crate::pictures::{photograph, taken};

/// Installed once from the npm registry, beside what cargo builds.
const AXE: &str = "axe-core@4.14.1";

/// What axe-core checks: WCAG 2.2 on level AA, and its own good practices. Pages have what they need without frames.
const CHECK: &str = r"
const done = arguments[arguments.length - 1];
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
axe.run(document, {runOnly: tags, resultTypes: ['violations'], iframes: false}).then(
  found => done(found.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(
    n => n.html.slice(0, 160) + ' [' + n.any.concat(n.all).map(c => c.message).join('; ').slice(0, 240) + ']'
  ).join(' | '))),
  error => done(['axe-core failed: ' + error]));
";

/// The script, or `None` (and a word about it) where it can't be installed; two tests ask for it at the same time.
static SCRIPT: LazyLock<Option<String>> = LazyLock::new(axe);

fn axe() -> Option<String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let script = folder.join("node_modules/axe-core/axe.min.js");
    if !script.exists() {
        // What an interrupted installation left would be taken for a whole one.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let installed = Command::new("npm")
            .args([
                "install",
                "--no-save",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefix",
                ".",
                AXE,
            ])
            .current_dir(&folder)
            .output();
        if !installed.as_ref().is_ok_and(|output| output.status.success()) {
            assert!(
                std::env::var("BLOG_TEST_CHROMIUM").as_deref() != Ok("required"),
                "{AXE} can't be installed by npm: {installed:?}"
            );
            eprintln!("skipped: {AXE} can't be installed by npm: {installed:?}");
            return None;
        }
    }
    Some(std::fs::read_to_string(script).unwrap())
}

/// Looks at the page that is open in both themes and both sizes; what is wrong with it.
async fn look(browser: &Browser, axe: &str, name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    browser.run(axe).await;
    for (size, scheme) in [("desktop", "light"), ("desktop", "dark"), ("phone", "dark"), ("phone", "light")] {
        if size == "phone" {
            browser.as_phone().await;
        } else {
            browser.as_desktop().await;
        }
        browser.prefers(scheme).await;
        browser.picture(&format!("{name}-{size}-{scheme}")).await;
        let found = browser.run_async(CHECK).await;
        wrong.extend(found.as_array().unwrap().iter().map(|v| format!("{name}, {size}, {scheme}: {v}")));
        // A phone shows the whole of a page that is too wide, smaller, and then calls its window as wide as the page.
        let root = "document.documentElement";
        let wider = browser.value_of(&format!("{root}.scrollWidth - {root}.clientWidth")).await;
        if wider != json!(0) {
            wrong.push(format!("{name}, {size}: the page is {wider} px wider than the window"));
        }
        let titles = browser.value_of("document.querySelectorAll('h1').length").await;
        if titles != json!(1) {
            wrong.push(format!("{name}: {titles} headings of level 1"));
        }
    }
    wrong.extend(browser.complaints().await.into_iter().filter(|said| !said.contains("status of")));
    wrong
}

async fn look_at_all(browser: &Browser, axe: &str, pages: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, path) in pages {
        browser.open(path).await;
        wrong.extend(look(browser, axe, name).await);
    }
    wrong
}

/// A post with everything that Markdown has here.
const EVERYTHING: &str = "## 从代码说起\n\nSome `inline code`, **strong**, ~~gone~~ and [a link](/archive).\n\n\
    ```rust\n/// Says hello.\nfn main() {\n    let name: &str = \"世界\"; // who\n    println!(\"{name} {}\", 42);\n}\n```\n\n\
    ## A table\n\n| Name | 数量 |\n|---|--:|\n| 稳定版 | 99 |\n| canary | 1 |\n\n### Tasks\n\n- [x] 写\n- [ ] publish\n\n\
    > 引用一段话。\n\n1. one\n2. two\n\n## Notes\n\nText with a note[^1] and another[^two].\n\n[^1]: 第一条脚注。\n[^two]: The second.\n";

#[tokio::test]
async fn pages_for_readers_are_accessible_in_both_themes_and_sizes() {
    let site = Site::with_posts(40).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    let Some(axe) = SCRIPT.as_deref() else { return };
    let author = site.blog.sign_in("ed").await;
    author
        .write_with(&[
            ("title", "所有的写法 Everything at once"),
            ("slug", "everything"),
            ("body", EVERYTHING),
            ("tags", "灰度, Rust"),
            ("category", "工程"),
        ])
        .await;
    author.post("/posts/everything/comments", &[("body", "First **comment**\n\n> quoted\n\n`code`")]).await;
    author.post("/posts/everything/comments", &[("body", "An answer"), ("parent", "1")]).await;
    let month = author.get("/archive").await.body;
    let month = month.split("href=\"/archive/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let month = format!("/archive/{month}");
    let mut wrong = look_at_all(
        &browser,
        axe,
        &[
            ("home", "/"),
            ("post", "/posts/everything"),
            ("reply", "/posts/everything?reply=1"),
            ("page", "/pages/about"),
            ("older", "/?before=1781000000-1"),
            ("tag", "/tags/rust"),
            ("tags", "/tags"),
            ("category", "/categories/%E5%B7%A5%E7%A8%8B"),
            ("categories", "/categories"),
            ("archive", "/archive"),
            ("month", &month),
            ("found", "/search?q=%E7%81%B0%E5%BA%A6"),
            ("not-found", "/search?q=zzzzzz"),
            ("login", "/login"),
            ("missing", "/posts/no-such-post"),
            ("home-zh", "/preferences?lang=zh&next=%2F"),
        ],
    )
    .await;
    browser.open("/posts/everything").await;
    browser
        .run("const form = document.getElementById('write'); form.noValidate = true; form.requestSubmit();")
        .await;
    browser.until("document.querySelector('[role=alert]')").await;
    wrong.extend(look(&browser, axe, "comment-problem").await);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn pages_for_writers_are_accessible_in_both_themes_and_sizes() {
    let site = Site::with_posts(12).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    let Some(axe) = SCRIPT.as_deref() else { return };
    let author = site.blog.sign_in("root").await;
    let id = author.write("所有的写法", EVERYTHING).await;
    let path = format!("/desk/posts/{id}");
    author
        .post(&path, &[("title", "所有的写法"), ("body", "shorter"), ("version", "1"), ("action", "save")])
        .await;
    let picture = taken(&author, &[("雪山.jpg", &photograph(800, 500))]).await.remove(0);
    author.post("/desk/account", &[("name", "ci"), ("scope", "write"), ("action", "token")]).await;
    let author = author.signed_out();
    author.post("/posts/所有的写法/comments", &[("name", "小林"), ("body", "等待 *审核*")]).await;
    browser.sign_in("root").await;
    let (history, revision) = (format!("{path}/revisions"), format!("{path}/revisions/1"));
    let mut wrong = look_at_all(
        &browser,
        axe,
        &[
            ("desk", "/desk"),
            ("new", "/desk/posts/new"),
            ("edit", &path),
            ("history", &history),
            ("revision", &revision),
            ("queue", "/desk/comments"),
            ("terms", "/desk/terms"),
            ("users", "/desk/users"),
            ("settings", "/desk/settings"),
            ("audit", "/desk/audit"),
            ("account", "/desk/account"),
            ("pictures", "/desk/pictures"),
        ],
    )
    .await;
    browser.open("/desk/account").await;
    browser.type_into("[name=name]", "a script").await;
    browser.press("New token").await;
    browser.sees("a script").await;
    wrong.extend(look(&browser, axe, "token-shown-once").await);
    browser.open("/desk/posts/new").await;
    browser.press("Preview").await;
    browser.type_into("[name=body]", &format!("![雪山](/media/{picture})")).await;
    browser.until("document.querySelector('.live img')?.naturalWidth > 0").await;
    wrong.extend(look(&browser, axe, "picture-in-preview").await);
    browser.open("/desk/posts/new").await;
    browser.type_into("[name=title]", "Kept").await;
    browser.type_into("[name=body]", "Nothing typed is lost.").await;
    author.app.store.close().await;
    browser.submit("Publish").await;
    browser.sees("What you wrote is still here").await;
    wrong.extend(look(&browser, axe, "kept").await);
    browser.open("/").await;
    wrong.extend(look(&browser, axe, "away").await);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
