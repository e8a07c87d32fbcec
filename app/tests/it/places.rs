//! Where pictures are kept: every test below runs on the database, on a folder, and on a bucket of a real S3 server.

use axum::http::StatusCode;
use blog::check::{Finding, Severity, check};
use blog::pictures::{Place, encode};
use blog::store::Role;
use blog::transfer::{Options as ImportOptions, Source, export, import};
use blog::web::Options;

use crate::pictures::{photograph, taken, upload};
use crate::process::output;
use crate::s3::{Refusing, S3Server, SECRET};
use crate::support::{TestBlog, options};

/// A place of one test's own.
enum Home {
    Database,
    Folder(tempfile::TempDir),
    Bucket(S3Server),
}

impl Home {
    fn place(&self) -> Place {
        match self {
            Self::Database => Place::Database,
            Self::Folder(folder) => Place::Folder(folder.path().join("pictures")),
            Self::Bucket(server) => server.place(),
        }
    }

    /// An empty blog that keeps pictures here, and `ada` who writes.
    async fn blog(&self) -> TestBlog {
        let options = Options { pictures: self.place(), ..options() };
        TestBlog::with(options).await.signed_in("ada", Role::Author).await
    }

    /// Takes a file away behind the blog's back.
    async fn lose(&self, blog: &TestBlog, file: &str) {
        match self {
            Self::Database => {
                let url = format!("sqlite:{}", blog.folder.path().join("blog.db").display());
                let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
                sqlx::query("DELETE FROM media_files WHERE file = $1")
                    .bind(file)
                    .execute(&pool)
                    .await
                    .unwrap();
            }
            Self::Folder(folder) => std::fs::remove_file(folder.path().join("pictures").join(file)).unwrap(),
            Self::Bucket(server) => std::fs::remove_file(server.object(file)).unwrap(),
        }
    }
}

/// Runs each test once in each place.
macro_rules! in_every_place {
    ($(async fn $name:ident($home:ident: &Home) $body:block)*) => {
        $(async fn $name($home: &Home) $body)*

        mod in_the_database {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Home::Database).await;
            })*
        }

        mod in_a_folder {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Home::Folder(tempfile::tempdir().unwrap())).await;
            })*
        }

        mod in_a_bucket {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Home::Bucket(super::S3Server::start().await)).await;
            })*
        }
    };
}

async fn status(blog: &TestBlog, file: &str) -> StatusCode {
    blog.get(&format!("/media/{file}")).await.status
}

/// What is not as it should be, without the missing administrator of these small blogs.
async fn wrong(blog: &TestBlog, place: &Place) -> Vec<Finding> {
    let mut findings = check(&blog.app.store, place).await;
    findings.retain(|finding| finding.severity > Severity::Fine && finding.what != "accounts");
    findings
}

in_every_place! {
async fn a_picture_is_shown_in_its_sizes_until_it_is_deleted(home: &Home) {
    let blog = home.blog().await;
    let file = taken(&blog, &[("a.jpg", &photograph(700, 30))]).await.remove(0);
    let all = [file.clone(), file.replace(".jpg", "-320.jpg"), file.replace(".jpg", "-640.jpg")];
    for name in &all {
        let shown = blog.get(&format!("/media/{name}")).await;
        assert_eq!((shown.status, shown.header("content-type")), (StatusCode::OK, "image/jpeg"), "{name}");
    }
    assert_eq!(status(&blog, "0123456789abcdef-9x9.jpg").await, StatusCode::NOT_FOUND);
    let again = taken(&blog, &[("other name.jpg", &photograph(700, 30))]).await;
    assert_eq!(again[0], file, "the same picture is kept once");
    let id = blog.app.store.medium_by_file(&file).await.unwrap().unwrap().id.to_string();
    assert_eq!(blog.post("/desk/pictures/delete", &[("id", &id)]).await.status, StatusCode::SEE_OTHER);
    for name in &all {
        assert_eq!(status(&blog, name).await, StatusCode::NOT_FOUND, "{name}");
    }
}

async fn what_the_database_kept_before_is_still_shown(home: &Home) {
    let before = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let old = taken(&before, &[("a.jpg", &photograph(40, 30))]).await.remove(0);
    let blog = before.second_process(Options { pictures: home.place(), ..options() }).await;
    let new = taken(&blog, &[("b.jpg", &photograph(60, 30))]).await.remove(0);
    assert_eq!((status(&blog, &old).await, status(&blog, &new).await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(wrong(&blog, &home.place()).await, []);
}

async fn an_export_takes_pictures_along_and_an_import_brings_them_back(home: &Home) {
    let blog = home.blog().await;
    let file = taken(&blog, &[("a.jpg", &photograph(700, 30))]).await.remove(0);
    let path = blog.folder.path().join("export");
    let done = export(&blog.app.store, &home.place(), &path, 1).await.unwrap();
    assert_eq!(done.pictures, 1);
    home.lose(&blog, &file).await;
    let other = TestBlog::with(Options { pictures: home.place(), ..options() }).await;
    let asked =
        ImportOptions { source: Source::Blog, path, author: None, uploads: None, place: home.place(), now: 2 };
    import(&other.app.store, asked).await.unwrap();
    let small = file.replace(".jpg", "-320.jpg");
    assert_eq!((status(&other, &file).await, status(&other, &small).await), (StatusCode::OK, StatusCode::OK));
}

async fn a_check_names_the_file_that_is_missing(home: &Home) {
    let blog = home.blog().await;
    let file = taken(&blog, &[("a.jpg", &photograph(700, 30))]).await.remove(0);
    assert_eq!(wrong(&blog, &home.place()).await, []);
    let small = file.replace(".jpg", "-320.jpg");
    home.lose(&blog, &small).await;
    let wrong = wrong(&blog, &home.place()).await;
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert!(wrong[0].what.contains(&small) && wrong[0].said.contains("--pictures"), "{wrong:#?}");
}
}

#[tokio::test]
async fn a_bucket_that_is_away_is_told_costs_no_text_and_comes_back_by_itself() {
    let mut server = S3Server::start().await;
    let blog = TestBlog::with(Options { pictures: server.place(), ..options() }).await;
    let blog = blog.signed_in("ada", Role::Author).await;
    let (one, two) = (photograph(40, 30), photograph(50, 30));
    let file = taken(&blog, &[("a.jpg", &one)]).await.remove(0);
    server.stop().await;
    let shown = blog.get(&format!("/media/{file}")).await;
    assert_eq!(shown.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(shown.body.contains("store of pictures") && !shown.header("retry-after").is_empty());
    for accept in ["text/html", "application/json"] {
        let refused = upload(&blog, accept, &[("b.jpg", &two)]).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body);
        assert!(refused.body.contains("not kept yet. Please send it again"), "{}", refused.body);
    }
    let text = format!("Written while it was away. ![a](/media/{file})");
    blog.write("During", &text).await;
    assert!(blog.get("/posts/during").await.body.contains("Written while it was away"));
    let findings = wrong(&blog, &server.place()).await;
    assert_eq!(findings.len(), 1, "it is said once, not for each picture: {findings:#?}");
    assert!(findings[0].said.contains("can't be reached"), "{findings:#?}");
    server.start_again().await;
    assert_eq!(status(&blog, &file).await, StatusCode::OK);
    let kept = taken(&blog, &[("b.jpg", &two)]).await.remove(0);
    assert_eq!(status(&blog, &kept).await, StatusCode::OK);
}

#[tokio::test]
async fn a_bucket_that_refuses_is_told_by_its_own_words_and_never_with_the_secret() {
    let server = S3Server::start().await;
    let blog = TestBlog::empty().await;
    let wrong_key = format!("{SECRET}-mistyped");
    for (bucket, secret, said) in
        [("pictures", wrong_key.as_str(), "SignatureDoesNotMatch"), ("x", SECRET, "InvalidBucketName")]
    {
        let place = server.place_with(bucket, secret).unwrap();
        let picture = encode(&photograph(40, 30), "a").unwrap();
        let error = place.keep(&blog.app.store, picture, (None, 1)).await.unwrap_err();
        let all = format!("{error} {error:?} {place:?}");
        assert!(all.contains(said) && all.contains(bucket), "{all}");
        assert!(!all.contains(SECRET) && !all.contains("X-Amz"), "{all}");
    }
    assert!(blog.app.store.media(i64::MAX, None).await.unwrap().is_empty(), "nobody is told of a picture");
}

#[tokio::test]
async fn a_store_that_refuses_is_told_with_the_setting_and_the_remedy_and_costs_no_text() {
    for (status, code, remedy, author_reads) in [
        (
            404,
            "NoSuchBucket",
            "make the bucket, or name another one with --pictures",
            "tell whoever runs this blog",
        ),
        (403, "AccessDenied", "s3:PutObject", "tell whoever runs this blog"),
        (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID", "tell whoever runs this blog"),
        (400, "AuthorizationHeaderMalformed", "--s3-region", "tell whoever runs this blog"),
        (503, "SlowDown", "may work in a moment", "Please send it again in a moment"),
    ] {
        let server = Refusing::with(status, code).await;
        let blog = TestBlog::with(Options { pictures: server.place(), ..options() }).await;
        let blog = blog.signed_in("ada", Role::Author).await;
        for accept in ["text/html", "application/json"] {
            let answer = upload(&blog, accept, &[("a.jpg", &photograph(40, 30))]).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{code}");
            assert!(answer.body.contains(author_reads), "{code}: {}", answer.body);
        }
        assert!(
            blog.app.store.media(i64::MAX, None).await.unwrap().is_empty(),
            "nobody is told of a picture"
        );
        assert_eq!(
            self::status(&blog, "0123456789abcdef-9x9.jpg").await,
            StatusCode::SERVICE_UNAVAILABLE,
            "{code}"
        );
        blog.write("Text", "Written all the same.").await;
        assert!(blog.get("/posts/text").await.body.contains("Written all the same"));
        let database = blog.folder.path().join("blog.db");
        let flags = ["--pictures", &server.name(), "--s3-credentials-file", server.keys(), "check"];
        let checked = output(&database, &flags, "").await;
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(!checked.status.success() && said.contains("FAILURE  pictures: "), "{said}");
        assert!(said.contains(code) && said.contains(remedy) && !said.contains(SECRET), "{said}");
    }
}

#[tokio::test]
async fn a_folder_inside_a_bucket_is_all_that_is_touched() {
    let server = S3Server::start().await;
    let place = server.place_with("pictures/blog/2026", SECRET).unwrap();
    let blog = TestBlog::with(Options { pictures: place, ..options() }).await;
    let blog = blog.signed_in("ada", Role::Author).await;
    let file = taken(&blog, &[("a.jpg", &photograph(40, 30))]).await.remove(0);
    assert!(server.object("blog/2026").join(&file).exists());
    assert_eq!(status(&blog, &file).await, StatusCode::OK);
}

#[tokio::test]
async fn a_folder_holds_one_file_for_each_size_and_nothing_outside_of_it_is_read() {
    let home = Home::Folder(tempfile::tempdir().unwrap());
    let Home::Folder(folder) = &home else { unreachable!("it was made above") };
    let blog = home.blog().await;
    taken(&blog, &[("b.jpg", &photograph(700, 30))]).await;
    let kept = std::fs::read_dir(folder.path().join("pictures")).unwrap().count();
    assert_eq!(kept, 3, "the largest and two smaller ones");
    assert_eq!(status(&blog, "..%2Fblog.db").await, StatusCode::NOT_FOUND);
}
