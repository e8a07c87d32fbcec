//! `blog check`: whether the blog is whole. Each finding says what is wrong and what to do about it.

use std::collections::HashSet;
use std::fmt;

use crate::pictures::{Name, Place, files};
use crate::store::{Post, Role, Store, StoreError, TermKind};
use crate::transfer::{links, old_path, pictures};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Readers miss something.
    Warning,
    /// Nothing works until it is mended.
    Failure,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub what: String,
    /// What was found, and what to do.
    pub said: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Fine => "ok",
            Severity::Warning => "warning",
            Severity::Failure => "FAILURE",
        };
        write!(f, "{word:<8} {}: {}", self.what, self.said)
    }
}

fn finding(severity: Severity, what: &str, said: impl Into<String>) -> Finding {
    Finding { severity, what: what.to_owned(), said: said.into() }
}

/// Addresses of the blog that are always there.
const ALWAYS: [&str; 9] = [
    "/",
    "/tags",
    "/categories",
    "/archive",
    "/search",
    "/feed.xml",
    "/rss.xml",
    "/feed.json",
    "/sitemap.xml",
];

/// Looks at the schema, the settings, accounts, pictures, and every link between posts.
pub async fn check(store: &Store, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    match store.check_schema().await {
        Ok(state) if state.applied > state.known => findings.push(finding(
            Severity::Fine,
            "schema",
            format!("{}, newer than this program's {}", state.applied, state.known),
        )),
        Ok(state) => findings.push(finding(Severity::Fine, "schema", state.applied.to_string())),
        Err(error) => {
            findings.push(finding(Severity::Failure, "schema", error.to_string()));
            return findings;
        }
    }
    for outcome in
        [settings(store).await, accounts(store).await, kept_pictures(store, place).await, texts(store).await]
    {
        match outcome {
            Ok(more) => findings.extend(more),
            Err(error) => findings.push(finding(Severity::Failure, "database", error.to_string())),
        }
    }
    findings
}

async fn settings(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let settings = store.settings().await?;
    Ok(vec![match jiff::tz::TimeZone::get(&settings.time_zone) {
        Ok(_) => {
            finding(Severity::Fine, "settings", format!("`{}` in {}", settings.title, settings.time_zone))
        }
        Err(_) => finding(
            Severity::Warning,
            "settings",
            format!(
                "there is no time zone `{}`: dates are in UTC; set another one at /desk/settings",
                settings.time_zone
            ),
        ),
    }])
}

async fn accounts(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let users = store.users().await?;
    let admins = users
        .iter()
        .filter(|user| user.role() == Role::Admin && user.disabled_at.is_none() && user.password_hash != "!")
        .count();
    Ok(vec![if admins > 0 {
        finding(Severity::Fine, "accounts", format!("{}, {admins} of them administrators", users.len()))
    } else {
        finding(
            Severity::Warning,
            "accounts",
            "no administrator can sign in; make one with `blog user create NAME --role admin`",
        )
    }])
}

/// Every picture has its files, in the place that this process reads.
async fn kept_pictures(store: &Store, place: &Place) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    // A place that is away or refuses is so for all pictures, and for the first one too.
    if let Err(error) = place.ask(store).await {
        return Ok(vec![finding(Severity::Failure, "pictures", error.to_string())]);
    }
    let (mut before, mut count) = (i64::MAX, 0_usize);
    loop {
        let batch = store.media(before, None).await?;
        let Some(last) = batch.last() else { break };
        before = last.id;
        for picture in &batch {
            count += 1;
            for file in files(&picture.file) {
                match place.read(store, &file).await {
                    Ok(Some(_)) => {}
                    Ok(None) => findings.push(finding(
                        Severity::Warning,
                        &format!("picture {file}"),
                        "it is not there; is --pictures the place where it was uploaded?",
                    )),
                    // It went away meanwhile.
                    Err(error) => {
                        findings.push(finding(Severity::Failure, "pictures", error.to_string()));
                        return Ok(findings);
                    }
                }
            }
        }
    }
    findings.push(finding(Severity::Fine, "pictures", format!("{count} looked at")));
    Ok(findings)
}

/// Links and pictures of every public text lead somewhere.
async fn texts(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let known = Known::read(store).await?;
    let (mut findings, mut after, mut count) = (Vec::new(), 0, 0_usize);
    loop {
        let ids = store.post_ids(after).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        for id in ids {
            let Some(post) = store.post(id).await?.filter(|post| post.status == "published") else {
                continue;
            };
            count += 1;
            for address in broken(store, (&post, &known)).await? {
                let about = format!("{} {} ({})", post.kind, post.id, post.title);
                findings.push(finding(Severity::Warning, &about, format!("{address} leads nowhere here")));
            }
        }
    }
    findings.push(finding(
        Severity::Fine,
        "texts",
        format!("links and pictures of {count} posts and pages looked at"),
    ));
    Ok(findings)
}

/// Names that are asked for again and again.
struct Known {
    tags: HashSet<String>,
    categories: HashSet<String>,
}

impl Known {
    async fn read(store: &Store) -> Result<Self, StoreError> {
        let slugs = |terms: Vec<crate::store::Term>| terms.into_iter().map(|term| term.slug).collect();
        Ok(Self {
            tags: slugs(store.all_terms(TermKind::Tag).await?),
            categories: slugs(store.all_terms(TermKind::Category).await?),
        })
    }
}

async fn broken(store: &Store, (post, known): (&Post, &Known)) -> Result<Vec<String>, StoreError> {
    let mut out = Vec::new();
    let cover = (!post.cover.is_empty()).then(|| format!("/media/{}", post.cover));
    for address in links(&post.body).into_iter().chain(pictures(&post.body)).chain(cover) {
        if address.starts_with('/') && !address.starts_with("//") && !leads(store, (&address, known)).await? {
            out.push(address);
        }
    }
    Ok(out)
}

/// Whether an address of this site leads somewhere.
async fn leads(store: &Store, (address, known): (&str, &Known)) -> Result<bool, StoreError> {
    let Some(path) = old_path(address) else { return Ok(true) };
    if ALWAYS.contains(&path.as_str()) {
        return Ok(true);
    }
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (folder, name) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    Ok(match folder {
        "posts" | "pages" => {
            let post = store.post_by_slug(name).await?.filter(|post| post.status == "published");
            post.is_some() || store.renamed(name).await?.is_some()
        }
        "tags" => known.tags.contains(name),
        "categories" => known.categories.contains(name),
        "archive" => true,
        "media" => match store.medium_by_file(&largest(name)).await? {
            Some(picture) => files(&picture.file).iter().any(|file| file == name),
            None => false,
        },
        _ => store.post_of_path(&path).await?.is_some(),
    })
}

/// The largest file of the picture that a file is a size of.
fn largest(file: &str) -> String {
    let whole = file.rsplit_once('.').and_then(|(stem, extension)| {
        let (whole, _) = stem.rsplit_once('-')?;
        Some(format!("{whole}.{extension}"))
    });
    whole.filter(|whole| Name::parse(whole).is_some()).unwrap_or_else(|| file.to_owned())
}
