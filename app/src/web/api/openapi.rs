//! `GET /api/openapi.json`: what the API is, in OpenAPI 3.1. The schemas come from the types that read and write.

use axum::Json;
use axum::extract::State;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::problem::Problem;
use super::types::{NewPost, PostBody, PostChange, PostList, Publish};
use crate::web::app::Shared;
use crate::web::visitor::Manner;

/// `GET /api/openapi.json`.
pub(crate) async fn openapi(State(app): State<Shared>, manner: Manner) -> Json<Value> {
    Json(document(&app.options.version, &manner.origin))
}

/// The document.
#[must_use]
pub(crate) fn document(version: &str, origin: &str) -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let paths = paths(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Blog",
            "version": version,
            "description": "Posts for programs. A token from the account page acts with the role of its account: \
                authors have their own posts, editors all. A token may ask 300 times a minute. Errors are problem \
                details (RFC 9457). What a newer release adds to answers must be passed over.",
        },
        "servers": [{ "url": origin }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "`Authorization: Bearer blog_` and 64 hexadecimal digits",
            } },
            "schemas": schemas.take_definitions(true),
        },
    })
}

fn paths(schemas: &mut SchemaGenerator) -> Value {
    let id = json!({
        "name": "id", "in": "path", "required": true, "description": "The post's number.",
        "schema": { "type": "integer", "format": "int64" },
    });
    json!({
        "/api/v1/posts": {
            "get": {
                "operationId": "listPosts",
                "summary": "Posts that the account may edit, last saved first",
                "parameters": [
                    query("status", "Only these.", &json!({ "type": "string", "enum": ["draft", "published", "archived"] })),
                    query("limit", "How many at most.", &json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 })),
                    query("cursor", "`next` of the posts before.", &json!({ "type": "string" })),
                ],
                "responses": responses(schemas, ("200", "The posts.", Schema::List), &["400", "401", "422", "429", "503"]),
            },
            "post": {
                "operationId": "createPost",
                "summary": "Write a new post; a draft unless `status` says otherwise",
                "requestBody": body::<NewPost>(schemas, true),
                "responses": responses(schemas, ("201", "The post, with its address in `Location`.", Schema::Post),
                    &["400", "401", "403", "413", "415", "422", "429", "503"]),
            },
        },
        "/api/v1/posts/{id}": {
            "parameters": [id],
            "get": {
                "operationId": "getPost",
                "summary": "A post",
                "responses": responses(schemas, ("200", "The post.", Schema::Post), &["401", "404", "429", "503"]),
            },
            "patch": {
                "operationId": "updatePost",
                "summary": "Change a post; what is left out stays",
                "requestBody": body::<PostChange>(schemas, true),
                "responses": responses(schemas, ("200", "The post as it is now.", Schema::Post),
                    &["400", "401", "403", "404", "409", "413", "415", "422", "429", "503"]),
            },
        },
        "/api/v1/posts/{id}/publish": {
            "parameters": [id],
            "post": {
                "operationId": "publishPost",
                "summary": "Publish a post now or at a time; publishing again changes nothing",
                "requestBody": body::<Publish>(schemas, false),
                "responses": responses(schemas, ("200", "The post as it is now.", Schema::Post),
                    &["400", "401", "403", "404", "409", "415", "422", "429", "503"]),
            },
        },
    })
}

/// What an operation answers with when all went well.
enum Schema {
    Post,
    List,
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn body<T: schemars::JsonSchema>(schemas: &mut SchemaGenerator, required: bool) -> Value {
    json!({
        "required": required,
        "content": { "application/json": { "schema": schemas.subschema_for::<T>() } },
    })
}

fn responses(
    schemas: &mut SchemaGenerator,
    (status, what, schema): (&str, &str, Schema),
    errors: &[&str],
) -> Value {
    let schema = match schema {
        Schema::Post => schemas.subschema_for::<PostBody>(),
        Schema::List => schemas.subschema_for::<PostList>(),
    };
    let mut all =
        json!({ status: { "description": what, "content": { "application/json": { "schema": schema } } } });
    let problem = json!({ "application/problem+json": { "schema": schemas.subschema_for::<Problem>() } });
    for error in errors {
        all[error] = json!({ "description": meaning(error), "content": problem });
    }
    all
}

fn meaning(status: &str) -> &'static str {
    match status {
        "400" => "The request can't be read.",
        "401" => "No token, or a wrong one.",
        "403" => "The token or the role does not allow it.",
        "404" => "The account has no such post.",
        "409" => "Somebody saved in between; `version` is the one that is there now.",
        "413" => "The request is too large.",
        "415" => "Send `Content-Type: application/json`.",
        "422" => "Fields are wrong; `errors` says which and what to do.",
        "429" => "Too many requests; wait for `Retry-After` seconds.",
        _ => "The database is away; try again after `Retry-After` seconds.",
    }
}
