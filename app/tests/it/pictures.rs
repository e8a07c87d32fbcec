//! Pictures: taken, made harmless, kept, shown, deleted.

use std::io::Cursor;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use blog::store::Role;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::support::{Answer, TestBlog, options};

pub(crate) fn photograph(width: u32, height: u32) -> Vec<u8> {
    let pixels = RgbImage::from_fn(width, height, |x, y| Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 90]));
    let mut out = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(pixels).write_to(&mut out, ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

/// Sends files as a browser's form does.
pub(crate) async fn upload(blog: &TestBlog, accept: &str, files: &[(&str, &[u8])]) -> Answer {
    let mut body = Vec::new();
    for (name, content) in files {
        body.extend(
            format!(
                "--edge\r\ncontent-disposition: form-data; name=\"picture\"; filename=\"{name}\"\r\n\
                 content-type: image/jpeg\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    let request = Request::post("/desk/pictures")
        .header("host", "blog.test")
        .header("origin", "http://blog.test")
        .header("accept", accept)
        .header("accept-language", "en")
        .header("content-type", "multipart/form-data; boundary=edge")
        .body(Body::from(body))
        .unwrap();
    blog.send(request).await
}

/// The files that the editor's script is told about.
pub(crate) async fn taken(blog: &TestBlog, files: &[(&str, &[u8])]) -> Vec<String> {
    let answer = upload(blog, "application/json", files).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let said: Vec<serde_json::Value> = serde_json::from_str(&answer.body).unwrap();
    said.iter().map(|one| one["file"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_picture_is_taken_without_script_listed_shown_in_sizes_and_kept_for_ever_by_browsers() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let answer = upload(&blog, "text/html", &[("雪山.jpg", &photograph(800, 400))]).await;
    assert_eq!(answer.header("location"), "/desk/pictures?added=1");
    let page = blog.get("/desk/pictures?added=1").await.body;
    let file = page.split("href=\"/media/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(file.ends_with("-800x400.jpg"), "{file}");
    assert!(page.contains(&format!("![雪山](/media/{file})")), "{page}");
    blog.write("Trip", &format!("![雪山](/media/{file})")).await;
    let post = blog.get("/posts/trip").await.body;
    let small = file.replace(".jpg", "-320.jpg");
    assert!(post.contains(&format!("/media/{small} 320w")) && post.contains("alt=\"雪山\""), "{post}");
    for name in [&file, &small] {
        let shown = blog.get(&format!("/media/{name}")).await;
        assert_eq!((shown.status, shown.header("content-type")), (StatusCode::OK, "image/jpeg"), "{name}");
        assert!(shown.header("cache-control").contains("immutable"));
    }
    assert_eq!(blog.get(&format!("/media/{}", file.replace(".jpg", "-1280.jpg"))).await.status, 404);
}

#[tokio::test]
async fn the_same_picture_is_kept_once_and_many_are_taken_together() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let (one, two) = (photograph(10, 10), photograph(20, 10));
    let first = taken(&blog, &[("a.jpg", &one), ("b.jpg", &two)]).await;
    let again = taken(&blog, &[("other name.jpg", &one)]).await;
    assert_eq!(first[0], again[0]);
    assert_eq!(blog.app.store.media(i64::MAX, None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_picture_is_refused_with_the_reason_and_nothing_is_kept() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let page = b"<html><script>alert(1)</script></html>";
    for (files, words) in [
        (vec![("good.jpg", photograph(9, 9)), ("evil.jpg", page.to_vec())], "evil.jpg: Only JPEG"),
        (
            vec![("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec())],
            "Only JPEG",
        ),
        (vec![("cut.jpg", photograph(300, 300)[..200].to_vec())], "damaged"),
        (vec![], "Choose a picture"),
    ] {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let answer = upload(&blog, "text/html", &files).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
    let large = vec![0_u8; 21 << 20];
    let answer = upload(&blog, "application/json", &[("large.jpg", &large)]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.body.contains("20 MiB"), "{}", answer.body);
    assert!(blog.app.store.media(i64::MAX, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_picture_in_use_stays_and_authors_delete_their_own_only() {
    let ada = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let file = taken(&ada, &[("a.jpg", &photograph(700, 10))]).await.remove(0);
    let id = ada.app.store.medium_by_file(&file).await.unwrap().unwrap().id.to_string();
    let small = file.replace(".jpg", "-320.jpg");
    ada.write("Shown here", &format!("![x](/media/{small})")).await;
    let refused = ada.post("/desk/pictures/delete", &[("id", &id)]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("Shown here"), "{}", refused.body);
    let bob = ada.second_process(options()).await.signed_out().signed_in("bob", Role::Author).await;
    assert_eq!(bob.post("/desk/pictures/delete", &[("id", &id)]).await.status, StatusCode::FORBIDDEN);
    assert!(!bob.get("/desk/pictures").await.body.contains(&file), "an author sees his own");
    let ed = ada.second_process(options()).await.signed_out().signed_in("ed", Role::Editor).await;
    assert!(ed.get("/desk/pictures").await.body.contains(&file));
    assert_eq!(ed.signed_out().get("/desk/pictures").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_example_posts_have_pictures() {
    let blog = TestBlog::seeded(40).await;
    let home = blog.get("/").await.body;
    let file = home.split("src=\"/media/").nth(1).unwrap().split('"').next().unwrap();
    let shown = blog.get(&format!("/media/{file}")).await;
    assert_eq!((shown.status, shown.header("content-type")), (StatusCode::OK, "image/svg+xml"));
    assert!(shown.header("content-security-policy").contains("default-src 'none'"));
}
