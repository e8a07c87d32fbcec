//! The JSON API, as a program meets it.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use blog::store::Role;
use serde_json::{Value, json};

use crate::support::{Answer, TestBlog, options};

/// A program with a token.
struct Program<'a> {
    blog: &'a TestBlog,
    token: String,
}

impl<'a> Program<'a> {
    /// With a new token of the account that is signed in.
    async fn of(blog: &'a TestBlog, scope: &str) -> Self {
        let form = [("action", "token"), ("name", "script"), ("scope", scope)];
        let page = blog.post("/desk/account", &form).await.body;
        let token = page.split("class=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        Self { blog, token }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (Answer, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "blog.test")
            .header("authorization", format!("Bearer {}", self.token));
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answer = self.blog.send(request.body(body).unwrap()).await;
        let value = serde_json::from_str(&answer.body).expect("an answer of the API is JSON");
        (answer, value)
    }

    async fn get(&self, path: &str) -> (Answer, Value) {
        self.ask(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> (Answer, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> (Answer, Value) {
        self.ask(Method::PATCH, path, Some(body)).await
    }
}

/// Whether the answer is problem details of this status.
fn assert_problem((answer, value): &(Answer, Value), status: StatusCode) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.body);
    assert_eq!(value["status"], status.as_u16());
    assert!(!value["title"].as_str().unwrap().is_empty() && !value["detail"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_program_writes_changes_and_publishes_a_post() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let program = Program::of(&blog, "write").await;
    let new =
        json!({ "title": "灰度发布", "body": "Hello", "tags": ["Rust", "灰度  发布"], "category": "Notes" });
    let (answer, post) = program.post("/api/v1/posts", new).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(post["url"], "http://blog.test/posts/%E7%81%B0%E5%BA%A6%E5%8F%91%E5%B8%83");
    assert_eq!((&post["status"], &post["version"]), (&json!("draft"), &json!(1)));
    assert_eq!(post["tags"], json!(["Rust", "灰度 发布"]));
    let path = answer.header("location").to_owned();
    let (_, changed) = program.patch(&path, json!({ "version": 1, "title": "Canary" })).await;
    assert_eq!(
        (&changed["title"], &changed["body"], &changed["version"]),
        (&json!("Canary"), &json!("Hello"), &json!(2))
    );
    let reader = blog.second_process(options()).await.signed_out();
    assert_eq!(reader.get("/posts/灰度发布").await.status, StatusCode::NOT_FOUND);
    let (answer, published) = program.ask(Method::POST, &format!("{path}/publish"), None).await;
    assert_eq!(
        (answer.status, &published["status"]),
        (StatusCode::OK, &json!("published")),
        "{}",
        answer.body
    );
    let (_, again) = program.ask(Method::POST, &format!("{path}/publish"), None).await;
    assert_eq!(again["version"], published["version"], "publishing again changes nothing");
    assert!(reader.get("/posts/%E7%81%B0%E5%BA%A6%E5%8F%91%E5%B8%83").await.body.contains("Canary"));
    let later = json!({ "publishedAt": "2999-01-01T00:00:00+08:00" });
    let (_, scheduled) = program.post(&format!("{path}/publish"), later).await;
    assert_eq!(scheduled["publishedAt"], "2998-12-31T16:00:00Z");
    let (_, read) = program.get(&path).await;
    assert_eq!(read, scheduled);
}

#[tokio::test]
async fn a_list_is_read_to_its_end_with_cursors() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let program = Program::of(&blog, "read").await;
    for number in 0..7 {
        blog.write(&format!("Post {number}"), "x").await;
    }
    let (mut path, mut seen) = ("/api/v1/posts?limit=3&status=published".to_owned(), Vec::new());
    loop {
        let (answer, page) = program.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        seen.extend(page["posts"].as_array().unwrap().iter().map(|post| post["id"].as_i64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/posts?limit=3&status=published&cursor={next}");
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(program.get("/api/v1/posts?status=draft").await.1["posts"], json!([]));
    assert_problem(&program.get("/api/v1/posts?limit=0").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_problem(&program.get("/api/v1/posts?limit=x").await, StatusCode::BAD_REQUEST);
    assert_problem(&program.get("/api/v1/posts?sort=x").await, StatusCode::BAD_REQUEST);
    assert_problem(&program.get("/api/v1/posts?cursor=x").await, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_save_in_between_is_a_conflict_that_names_the_version() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let program = Program::of(&blog, "write").await;
    let id = blog.write("Story", "one").await;
    let path = format!("/api/v1/posts/{id}");
    program.patch(&path, json!({ "version": 1, "body": "two" })).await;
    let late = program.patch(&path, json!({ "version": 1, "body": "three" })).await;
    assert_problem(&late, StatusCode::CONFLICT);
    assert_eq!(
        (&late.1["type"], &late.1["version"]),
        (&json!("urn:problem-type:blog:version-conflict"), &json!(2))
    );
    assert_eq!(program.get(&path).await.1["body"], "two");
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_and_by_field() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let program = Program::of(&blog, "write").await;
    let wrong = json!({ "title": "", "tags": [" "], "cover": "../x" });
    let refused = program.post("/api/v1/posts", wrong).await;
    assert_problem(&refused, StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<_> =
        refused.1["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["title", "tags", "cover"]);
    for (body, words) in [
        (json!({ "title": "x", "tags": [1] }), "tags[0]"),
        (json!({ "title": "x", "titel": "y" }), "titel"),
        (json!({ "body": "x" }), "title"),
        (json!({ "title": "x", "publishedAt": "tomorrow" }), "publishedAt"),
        (json!({ "title": "x", "kind": "poem" }), "kind"),
        (json!({ "title": "x", "status": "hidden" }), "hidden"),
    ] {
        let refused = program.post("/api/v1/posts", body).await;
        assert_problem(&refused, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.0.body.contains(words), "{words}: {}", refused.0.body);
    }
    let text = Request::post("/api/v1/posts")
        .header("authorization", format!("Bearer {}", program.token))
        .header("content-type", "text/plain")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(blog.send(text).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_problem(&program.get("/api/v1/nothing").await, StatusCode::NOT_FOUND);
    assert_problem(&program.get("/api/v1/posts/x").await, StatusCode::NOT_FOUND);
    let method = program.ask(Method::PUT, "/api/v1/posts", Some(json!({}))).await;
    assert_problem(&method, StatusCode::METHOD_NOT_ALLOWED);
    assert!(method.0.header("allow").contains("POST"));
}

#[tokio::test]
async fn a_token_acts_with_its_accounts_role_and_its_own_scope() {
    let ada = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let id = ada.write("Of Ada", "x").await;
    let path = format!("/api/v1/posts/{id}");
    let bob = ada.second_process(options()).await.signed_out().signed_in("bob", Role::Author).await;
    let stranger = Program::of(&bob, "write").await;
    assert_problem(&stranger.get(&path).await, StatusCode::NOT_FOUND);
    assert_problem(
        &stranger.patch(&path, json!({ "version": 1, "body": "mine" })).await,
        StatusCode::NOT_FOUND,
    );
    assert_problem(
        &stranger.post("/api/v1/posts", json!({ "title": "x", "kind": "page" })).await,
        StatusCode::FORBIDDEN,
    );
    assert_eq!(stranger.get("/api/v1/posts").await.1["posts"], json!([]));
    let ed = ada.second_process(options()).await.signed_out().signed_in("ed", Role::Editor).await;
    let editor = Program::of(&ed, "write").await;
    assert_eq!(editor.patch(&path, json!({ "version": 1, "body": "edited" })).await.1["body"], "edited");
    let reading = Program::of(&ed, "read").await;
    assert_eq!(reading.get(&path).await.0.status, StatusCode::OK);
    assert_problem(&reading.post("/api/v1/posts", json!({ "title": "x" })).await, StatusCode::FORBIDDEN);
    assert_problem(&reading.patch(&path, json!({ "version": 2 })).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_is_shown_once_kept_hashed_and_dead_when_taken_back_or_its_account_is_shut() {
    let ada = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let program = Program::of(&ada, "write").await;
    assert!(!ada.get("/desk/account").await.body.contains(&program.token), "shown once");
    let file = std::fs::read(ada.folder.path().join("blog.db-wal")).unwrap();
    let token = program.token.as_bytes();
    assert!(!file.windows(token.len()).any(|part| part == token), "the database holds a hash only");
    assert_eq!(program.get("/api/v1/posts").await.0.status, StatusCode::OK);
    ada.post("/desk/account", &[("action", "revoke"), ("id", "1")]).await;
    let dead = program.get("/api/v1/posts").await;
    assert_problem(&dead, StatusCode::UNAUTHORIZED);
    assert!(dead.0.header("www-authenticate").starts_with("Bearer"));
    let second = Program::of(&ada, "write").await;
    let root = ada.second_process(options()).await.signed_out().signed_in("root", Role::Admin).await;
    root.post("/desk/users", &[("action", "standing"), ("id", "1"), ("role", "author"), ("disabled", "on")])
        .await;
    assert_problem(&second.get("/api/v1/posts").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_browsers_cookie_is_no_token_and_guessing_is_slowed() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    assert_eq!(blog.get("/api/v1/posts").await.status, StatusCode::UNAUTHORIZED);
    let wrong = Program { blog: &blog, token: format!("blog_{}", "0".repeat(64)) };
    for _ in 0..30 {
        assert_problem(&wrong.get("/api/v1/posts").await, StatusCode::UNAUTHORIZED);
    }
    let slowed = wrong.get("/api/v1/posts").await;
    assert_problem(&slowed, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(slowed.0.header("retry-after"), "60");
    let right = Program::of(&blog, "read").await;
    assert_eq!(right.get("/api/v1/posts").await.0.status, StatusCode::OK, "a right token is not in the way");
}

#[tokio::test]
async fn a_token_that_asks_too_often_waits_for_the_next_minute() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let program = Program::of(&blog, "read").await;
    let mut answers = Vec::new();
    // More than a minute's share twice over, so that the turn of a minute in between does not matter.
    for _ in 0..620 {
        answers.push(program.get("/api/v1/posts?limit=1").await.0.status);
        if answers.last() == Some(&StatusCode::TOO_MANY_REQUESTS) {
            break;
        }
    }
    assert_eq!(answers.last(), Some(&StatusCode::TOO_MANY_REQUESTS));
    assert!(answers.len() > 300);
}

#[tokio::test]
async fn without_its_database_the_api_says_so_as_problem_details() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    let program = Program::of(&blog, "read").await;
    blog.app.store.close().await;
    let away = program.get("/api/v1/posts").await;
    assert_problem(&away, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(away.0.header("retry-after"), "5");
}

#[tokio::test]
async fn the_document_describes_every_operation_and_what_is_answered() {
    let blog = TestBlog::empty().await.signed_in("ada", Role::Author).await;
    assert!(blog.get("/desk/account").await.body.contains("href=\"/api/openapi.json\""));
    let document: Value = serde_json::from_str(&blog.get("/api/openapi.json").await.body).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in
            methods.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters")
        {
            let statuses: Vec<&str> =
                operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
            operations.push(format!("{method} {path}: {}", statuses.join(" ")));
        }
    }
    insta::assert_snapshot!(operations.join("\n"), @r"
    get /api/v1/posts: 200 400 401 422 429 503
    post /api/v1/posts: 201 400 401 403 413 415 422 429 503
    get /api/v1/posts/{id}: 200 401 404 429 503
    patch /api/v1/posts/{id}: 200 400 401 403 404 409 413 415 422 429 503
    post /api/v1/posts/{id}/publish: 200 400 401 403 404 409 415 422 429 503
    ");
    let references: Vec<String> = document
        .to_string()
        .split("\"$ref\":\"")
        .skip(1)
        .map(|part| part.split('"').next().unwrap().trim_start_matches('#').to_owned())
        .collect();
    assert!(references.len() > 5);
    for reference in references {
        assert!(document.pointer(&reference).is_some(), "{reference} leads nowhere");
    }
    let program = Program::of(&blog, "write").await;
    let (_, post) = program.post("/api/v1/posts", json!({ "title": "x" })).await;
    let (_, list) = program.get("/api/v1/posts").await;
    for (name, value) in [("Post", &post), ("PostList", &list), ("PostLine", &list["posts"][0])] {
        let schema = &document["components"]["schemas"][name];
        let described: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let answered: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(described, answered, "{name}");
    }
}
