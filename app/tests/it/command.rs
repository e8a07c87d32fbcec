//! The command line: `blog check` says what is wrong and ends with a status that scripts can read.

use std::path::Path;

use crate::process::{output, run};

async fn said(database: &Path, arguments: &[&str]) -> (bool, String) {
    let output = output(database, arguments, "").await;
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// A blog with an administrator, example posts and pictures.
async fn healthy(database: &Path) {
    run(database, &["migrate"], "").await;
    run(database, &["seed", "--posts", "12"], "").await;
    run(database, &["user", "create", "root", "--role", "admin"], "correct horse battery").await;
}

#[tokio::test]
async fn a_check_of_a_healthy_blog_lists_what_it_looked_at_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("blog.db");
    healthy(&database).await;
    let (is_well, text) = said(&database, &["check"]).await;
    assert!(is_well, "{text}");
    for what in ["schema", "settings", "accounts", "pictures", "texts"] {
        assert!(text.lines().any(|line| line.starts_with("ok ") && line.contains(what)), "{what}: {text}");
    }
}

#[tokio::test]
async fn a_check_names_a_lost_picture_and_a_text_that_leads_nowhere_and_ends_with_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("blog.db");
    healthy(&database).await;
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", database.display())).await.unwrap();
    let (lost,): (String,) = sqlx::query_as(
        "DELETE FROM media_files WHERE file = (SELECT MIN(file) FROM media_files) RETURNING file",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    sqlx::query("UPDATE posts SET body = '[x](/posts/nowhere)', title = 'Broken' WHERE id = 1")
        .execute(&pool)
        .await
        .unwrap();
    let (is_well, text) = said(&database, &["check"]).await;
    assert!(!is_well, "{text}");
    let line = |word: &str| {
        text.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}: {text}"))
    };
    assert!(line(&lost).starts_with("warning") && line(&lost).contains("--pictures"), "{text}");
    assert!(line("Broken").contains("/posts/nowhere leads nowhere"), "{text}");
    assert!(text.contains("2 of "), "{text}");
}

#[tokio::test]
async fn a_check_of_what_is_not_there_says_how_to_make_it() {
    let folder = tempfile::tempdir().unwrap();
    let (is_well, text) = said(&folder.path().join("none.db"), &["check"]).await;
    assert!(!is_well && text.contains("FAILURE") && text.contains("blog migrate"), "{text}");
}

#[tokio::test]
async fn a_bucket_without_keys_is_refused_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("blog.db");
    run(&database, &["migrate"], "").await;
    let bucket = "s3:http://127.0.0.1:9/pictures";
    for command in ["serve", "check"] {
        let (is_well, text) = said(&database, &[command, "--pictures", bucket]).await;
        assert!(!is_well && text.contains("AWS_ACCESS_KEY_ID") && !text.contains("serves http"), "{text}");
    }
}
