//! Authors and editors.

use serde_json::json;

use super::{Browser, Site};

#[tokio::test]
async fn an_author_writes_with_a_live_preview_and_publishes_and_a_phone_reads_it() {
    let site = Site::with_posts(0).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    browser.sign_in("ada").await;
    browser.follow("New post").await;
    browser.type_into("[name=title]", "灰度发布的第一天").await;
    browser.press("Preview").await;
    browser.type_into("[name=body]", "今天把权重调到 **百分之一**。\n\n```rust\nfn main() {}\n```\n").await;
    browser.until("document.querySelector('.live strong')?.textContent === '百分之一'").await;
    browser.until("document.querySelector('.live code .hl-k')?.textContent === 'fn'").await;
    browser.picture("editor-preview").await;
    browser.type_into("[name=tags]", "灰度, 发布").await;
    browser.submit("Publish").await;
    browser.sees("Saved").await;

    let Some(phone) = Browser::start(&site.origin).await else { return };
    phone.as_phone().await;
    phone.open("/").await;
    phone.follow("灰度发布的第一天").await;
    phone.until("document.querySelector('article strong')?.textContent === '百分之一'").await;
    let spare = phone.value_of("document.documentElement.scrollWidth - innerWidth").await;
    assert_eq!(spare, json!(0), "nothing makes the page wider than the phone");
    let size =
        phone.value_of("parseFloat(getComputedStyle(document.querySelector('.prose p')).fontSize)").await;
    assert!(size.as_f64().unwrap() >= 16.0, "{size}");
    phone.picture("first-post-phone").await;
    assert_eq!(phone.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_typed_is_kept_and_offered_again_after_the_window_was_closed() {
    let site = Site::with_posts(0).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    browser.sign_in("ada").await;
    browser.open("/desk/posts/new").await;
    browser.type_into("[name=title]", "Half a thought").await;
    browser.type_into("[name=body]", "not yet saved").await;
    browser.until("document.getElementById('autosave-note').textContent !== ''").await;
    browser.open("/desk").await;
    assert!(!browser.shows("Half a thought").await, "an autosave is no post");
    browser.open("/desk/posts/new").await;
    browser.picture("autosave-offer").await;
    browser.follow("Continue writing").await;
    browser.until("document.querySelector('[name=body]').value === 'not yet saved'").await;
}

/// Gives the editor a picture of one colour as a browser does when a file is dropped or pasted.
fn hand_over(event: &str, name: &str, colour: &str) -> String {
    let (kind, field) = match event {
        "drop" => ("DragEvent", "dataTransfer"),
        _ => ("ClipboardEvent", "clipboardData"),
    };
    format!(
        "const done = arguments[arguments.length - 1];
        const canvas = Object.assign(document.createElement('canvas'), {{width: 400, height: 300}});
        const pen = canvas.getContext('2d');
        pen.fillStyle = '{colour}';
        pen.fillRect(0, 0, 400, 300);
        canvas.toBlob(blob => {{
          const files = new DataTransfer();
          files.items.add(new File([blob], '{name}.png', {{type: 'image/png'}}));
          const event = new {kind}('{event}', {{{field}: files, bubbles: true, cancelable: true}});
          document.querySelector('[name=body]').dispatchEvent(event);
          done(event.defaultPrevented);
        }});"
    )
}

#[tokio::test]
async fn pictures_that_are_dropped_or_pasted_into_the_editor_are_on_the_page() {
    let site = Site::with_posts(0).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    browser.sign_in("ada").await;
    browser.open("/desk/posts/new").await;
    browser.type_into("[name=title]", "With pictures").await;
    for (event, name, colour) in [("drop", "dropped", "teal"), ("paste", "pasted", "orange")] {
        assert_eq!(browser.run_async(&hand_over(event, name, colour)).await, json!(true));
        browser
            .until(&format!("document.querySelector('[name=body]').value.includes('![{name}](/media/')"))
            .await;
    }
    browser.picture("editor-pictures").await;
    browser.press("Publish").await;
    browser.sees("Saved").await;
    browser.open("/posts/with-pictures").await;
    browser
        .until(
            "[...document.querySelectorAll('.prose img')].filter(img => img.naturalWidth > 0).length === 2",
        )
        .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn two_windows_with_one_post_show_the_conflict_and_keep_both_texts() {
    let site = Site::with_posts(0).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    browser.sign_in("ada").await;
    browser.open("/desk/posts/new").await;
    browser.type_into("[name=title]", "Shared").await;
    browser.type_into("[name=body]", "first").await;
    browser.submit("Save draft").await;
    browser.sees("Saved").await;
    let Some(other) = Browser::start(&site.origin).await else { return };
    other.sign_in("ada").await;
    other.open("/desk/posts/1").await;
    browser.type_into("[name=body]", " mine").await;
    browser.submit("Save draft").await;
    browser.sees("Saved").await;
    other.type_into("[name=body]", " theirs").await;
    other.submit("Save draft").await;
    other.until("document.querySelector('[role=alert]')").await;
    assert_eq!(other.text_of("document.querySelector('[name=body]').value").await, "first theirs");
    assert!(other.shows("first mine").await, "what the other window saved is shown too");
    other.picture("conflict").await;
}

#[tokio::test]
async fn ending_all_other_sessions_signs_the_other_browser_out() {
    let site = Site::with_posts(0).await;
    let Some(browser) = Browser::start(&site.origin).await else { return };
    let Some(phone) = Browser::start(&site.origin).await else { return };
    browser.sign_in("ada").await;
    phone.sign_in("ada").await;
    browser.open("/desk/account").await;
    browser.submit("Sign out everywhere else").await;
    browser.until("document.querySelectorAll('form input[name=session]').length === 0").await;
    phone.open("/desk").await;
    assert_eq!(phone.path().await, "/login?next=%2Fdesk");
    browser.open("/desk").await;
    browser.submit("Sign out").await;
    browser.open("/desk").await;
    assert_eq!(browser.path().await, "/login?next=%2Fdesk");
}

#[tokio::test]
async fn everything_works_without_script() {
    let site = Site::with_posts(0).await;
    let preferences = json!({
        "intl.accept_languages": "en-US,en",
        "profile.managed_default_content_settings.javascript": 2,
    });
    let Some(browser) = Browser::start_with(&site.origin, &preferences).await else { return };
    browser.sign_in("ed").await;
    browser.open("/desk/posts/new").await;
    browser.type_into("[name=title]", "Plain").await;
    browser.type_into("[name=body]", "No script needed.").await;
    browser.submit("Publish").await;
    browser.sees("Saved").await;
    browser.open("/posts/plain").await;
    browser.type_into("[name=body]", "Well said").await;
    browser.submit("Send comment").await;
    browser.until("document.querySelector('.comment')?.innerText.includes('Well said')").await;
    browser.open("/desk/comments?status=approved").await;
    browser.click("[name=id]").await;
    browser.submit("Delete").await;
    browser.open("/posts/plain").await;
    assert!(!browser.shows("Well said").await);
}
