//! Readers.

use serde_json::json;

use super::{Browser, Site};

#[tokio::test]
async fn a_reader_comments_and_an_editor_lets_it_through() {
    let site = Site::with_posts(3).await;
    let Some(reader) = Browser::start(&site.origin).await else { return };
    reader.open("/").await;
    reader.leads(reader.click(".card h2 a")).await;
    let post = reader.path().await;
    reader.type_into("[name=name]", "小林").await;
    reader.type_into("#write [name=body]", "写得**清楚**，谢谢。").await;
    reader.submit("Send comment").await;
    reader.until("document.querySelector('[role=status]')").await;
    assert!(!reader.shows("写得清楚").await, "nobody sees it yet");
    let Some(editor) = Browser::start(&site.origin).await else { return };
    editor.sign_in("ed").await;
    editor.open("/desk/comments").await;
    editor.picture("queue").await;
    editor.click("[name=id]").await;
    editor.submit("Approve").await;
    reader.open(&post).await;
    reader.sees("写得清楚，谢谢。").await;
    reader.follow("Reply").await;
    reader.type_into("[name=name]", "阿木").await;
    reader.type_into("#write [name=body]", "同意").await;
    reader.submit("Send comment").await;
    reader.until("location.search.includes('comment=pending')").await;
}

#[tokio::test]
async fn words_of_two_characters_are_found_from_the_keyboard_and_marked() {
    let site = Site::with_posts(60).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    for word in ["灰度", "发布"] {
        browser.open("/").await;
        browser.keys("/").await;
        browser.until("document.activeElement.id === 'q'").await;
        browser.keys(&format!("{word}\u{e007}")).await;
        browser.until("location.pathname === '/search'").await;
        let hits = browser.value_of("document.querySelectorAll('.result').length").await;
        assert!(hits.as_u64().unwrap() > 0, "{word}");
        let unmarked = format!(
            "[...document.querySelectorAll('.result')].filter(r => ![...r.querySelectorAll('mark')]\
             .some(m => m.textContent.includes('{word}'))).length"
        );
        assert_eq!(browser.value_of(&unmarked).await, json!(0), "every result shows why it was found");
    }
}

#[tokio::test]
async fn language_and_theme_are_switched_and_stay() {
    let site = Site::with_posts(5).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.prefers("light").await;
    browser.open("/").await;
    assert_eq!(browser.text_of("document.documentElement.lang").await, "en");
    let light = browser.text_of(ground).await;
    browser.prefers("dark").await;
    let dark = browser.text_of(ground).await;
    assert_ne!(light, dark, "as the system prefers");
    browser.follow("Light").await;
    browser.until("document.documentElement.dataset.theme === 'light'").await;
    assert_eq!(browser.text_of(ground).await, light, "the reader's choice wins");
    browser.follow("中文").await;
    browser.until("document.documentElement.lang === 'zh-CN'").await;
    browser.open("/archive").await;
    assert!(browser.shows("归档").await);
    assert_eq!(browser.text_of("document.documentElement.dataset.theme").await, "light");
}

#[tokio::test]
async fn the_keyboard_reaches_the_text_first_and_can_see_where_it_is() {
    let site = Site::with_posts(5).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    browser.open("/").await;
    browser.keys("\u{e004}").await;
    let focus = "document.activeElement";
    assert_eq!(browser.text_of(&format!("{focus}.className")).await, "skip");
    let top = browser.value_of(&format!("{focus}.getBoundingClientRect().top >= 0")).await;
    assert_eq!(top, json!(true), "the link to the text shows itself when it has the focus");
    browser.keys("\u{e007}").await;
    browser.until("location.hash === '#main'").await;
    browser.keys("\u{e004}").await;
    let inside = browser.value_of("document.getElementById('main').contains(document.activeElement)").await;
    assert_eq!(inside, json!(true));
    let outline = browser.text_of(&format!("getComputedStyle({focus}).outlineStyle")).await;
    assert_ne!(outline, "none");
}
