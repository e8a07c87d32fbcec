//! Style, script and icon: part of the program, named by their content.
//!
//! During a release two versions answer side by side, so a page of one version asks the other for its assets. The
//! name `blog.<hash>.css` with a hash that is not ours is therefore answered with our file under a short cache,
//! never with 404.

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::error::Error;
use crate::text;

/// A file inside the program.
struct Asset {
    stem: &'static str,
    extension: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

const ASSETS: &[Asset] = &[
    Asset {
        stem: "blog",
        extension: "css",
        content_type: "text/css; charset=utf-8",
        content: include_bytes!("../../assets/blog.css"),
    },
    Asset {
        stem: "blog",
        extension: "js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("../../assets/blog.js"),
    },
    Asset {
        stem: "icon",
        extension: "svg",
        content_type: "image/svg+xml",
        content: include_bytes!("../../assets/icon.svg"),
    },
];

/// A file of this very content; any other content has another name.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// A file asked for by another version's name.
const SHORTLY: &str = "public, max-age=60";

/// Where pages find the assets.
#[derive(Clone, Debug)]
pub(crate) struct AssetLinks {
    /// The style sheet.
    pub css: String,
    /// The script.
    pub js: String,
    /// The icon.
    pub icon: String,
    /// The style sheet that holds the accent colour alone.
    pub accent: String,
}

impl AssetLinks {
    /// Hashes the embedded files once.
    #[must_use]
    pub(crate) fn new(accent: &Accent) -> Self {
        let link = |index: usize| {
            let asset = &ASSETS[index];
            format!("/assets/{}.{}.{}", asset.stem, hash(asset), asset.extension)
        };
        Self { css: link(0), js: link(1), icon: link(2), accent: format!("/assets/accent-{}.css", accent.0) }
    }
}

/// A colour of six hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accent(String);

impl std::str::FromStr for Accent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        if digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(digits.to_ascii_lowercase()))
        } else {
            Err(format!("`{text}` is no colour; write six hexadecimal digits like #0f766e"))
        }
    }
}

impl Accent {
    /// The style sheet of this colour alone. In the dark theme the colour is mixed with white, so that it stays
    /// readable on a dark ground.
    fn css(&self) -> String {
        format!(":root{{--accent-base:#{}}}\n", self.0)
    }
}

/// `GET /assets/{file}`.
pub(crate) async fn asset(Path(file): Path<String>) -> Result<Response, Error> {
    if let Some(accent) = file.strip_prefix("accent-").and_then(|rest| rest.strip_suffix(".css")) {
        // The name is the content: every version answers for every colour.
        let accent: Accent = accent.parse().map_err(|_| Error::NotFound)?;
        return Ok(answer("text/css; charset=utf-8", FOR_EVER, accent.css().into_bytes()));
    }
    let mut parts = file.split('.');
    let (Some(stem), Some(middle), Some(extension), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Error::NotFound);
    };
    let asset = ASSETS
        .iter()
        .find(|asset| asset.stem == stem && asset.extension == extension)
        .ok_or(Error::NotFound)?;
    let cache = if middle == hash(asset) { FOR_EVER } else { SHORTLY };
    Ok(answer(asset.content_type, cache, asset.content))
}

/// `GET /favicon.ico`, which browsers ask for by themselves.
pub(crate) async fn icon() -> Response {
    answer(ASSETS[2].content_type, SHORTLY, ASSETS[2].content)
}

fn answer(content_type: &'static str, cache: &'static str, content: impl Into<axum::body::Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (headers, content.into()).into_response()
}

/// The first 12 hexadecimal digits of SHA-256: 48 bits tell versions of one file apart.
fn hash(asset: &Asset) -> String {
    text::sha256_hex(asset.content).chars().take(12).collect()
}
