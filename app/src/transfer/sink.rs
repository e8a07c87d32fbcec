//! Writing what a reader hands over, one post after the other.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use super::{
    Author, IncomingComment, IncomingPost, Item, Source, TransferError, exported, files, hexo, markdown,
    wordpress,
};
use crate::pictures::{Place, encode};
use crate::store::{ImportComment, ImportPost, ImportRevision, NewComment, Role, Settings, Store};
use crate::web::is_username;
use crate::{rules, text};

/// Items that wait between the reading thread and the database.
const WAITING_MAX: usize = 8;
/// No password fits it.
const NO_PASSWORD: &str = "!";

/// What an import is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is read.
    pub source: Source,
    /// The file or folder.
    pub path: PathBuf,
    /// The account of posts that name no author.
    pub author: Option<String>,
    /// A copy of WordPress' `wp-content/uploads`.
    pub uploads: Option<PathBuf>,
    /// Where pictures are kept.
    pub place: Place,
    /// Seconds since the epoch.
    pub now: i64,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// New posts.
    pub posts: usize,
    /// New pages.
    pub pages: usize,
    /// Posts and pages that an earlier import brought.
    pub known: usize,
    /// New comments.
    pub comments: usize,
    /// Pictures, new or known.
    pub pictures: usize,
    /// New accounts, which have no password yet unless our own export had one.
    pub accounts: usize,
    /// What was left out or changed, and why.
    pub notes: Vec<(String, String)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (about, what) in &self.notes {
            writeln!(f, "{about}: {what}")?;
        }
        let Self { posts, pages, known, comments, pictures, accounts, notes } = self;
        write!(
            f,
            "new: {posts} posts, {pages} pages, {comments} comments, {accounts} accounts; {pictures} pictures; \
             {known} were here already; {} notes",
            notes.len()
        )
    }
}

/// Reads a blog and keeps it. Doing it again brings what is new and changes nothing else.
///
/// # Errors
/// When the source can't be read, or the database or the pictures' place fails. Posts that came before stay.
pub async fn import(store: &Store, options: Options) -> Result<Report, TransferError> {
    let settings = store.settings().await?;
    let zone = TimeZone::get(&settings.time_zone).unwrap_or(TimeZone::UTC);
    let (sender, mut items) = mpsc::channel(WAITING_MAX);
    let Options { source, path, uploads, .. } = options.clone();
    let reader = tokio::task::spawn_blocking(move || {
        let ended = || TransferError::Reader("nobody takes its items any more".to_owned());
        let mut send = |item| sender.blocking_send(item).map_err(|_| ended());
        match source {
            Source::Blog => exported::read(&path, &mut send),
            Source::Markdown => markdown::read(&path, &zone, &mut send),
            Source::Hexo => hexo::read(&path, &zone, &mut send),
            Source::WordPress => wordpress::read(&path, uploads.as_deref(), &mut send),
        }
    });
    let mut sink = Sink {
        store,
        options,
        is_fresh: settings == Settings::default(),
        source: String::new(),
        accounts: HashMap::new(),
        report: Report::default(),
    };
    while let Some(item) = items.recv().await {
        sink.take(item).await?;
    }
    reader.await.map_err(|error| TransferError::Reader(error.to_string()))??;
    Ok(sink.report)
}

struct Sink<'a> {
    store: &'a Store,
    options: Options,
    /// Whether nobody has set anything here yet.
    is_fresh: bool,
    source: String,
    /// Accounts by the names that the source uses.
    accounts: HashMap<String, i64>,
    report: Report,
}

impl Sink<'_> {
    async fn take(&mut self, item: Item) -> Result<(), TransferError> {
        match item {
            Item::Source(name) => self.source = name,
            Item::Author(author) => {
                self.account(&author).await?;
            }
            Item::Settings(settings) if self.is_fresh => self.store.save_settings(&settings).await?,
            Item::Settings(_) => self.note("settings", "left out: this blog has its own"),
            Item::Picture(picture, user, at) => {
                let user = self.accounts.get(&user).copied();
                self.options.place.keep(self.store, picture, (user, at)).await?;
                self.report.pictures += 1;
            }
            Item::Note { about, what } => self.note(&about, what),
            Item::Post(post) => self.post(*post).await?,
        }
        Ok(())
    }

    async fn post(&mut self, mut post: IncomingPost) -> Result<(), TransferError> {
        let author_id = self.author_of(&post).await?;
        if !post.is_ours {
            self.pictures(&mut post).await?;
            self.fit(&mut post);
        }
        let key = post.key.clone();
        let problems = rules::problems(&post.draft);
        if let Some(problem) = problems.first() {
            self.note(&key, format!("left out: {}: {}", problem.field, problem.en));
            return Ok(());
        }
        let is_page = post.draft.kind == "page";
        let wanted =
            text::slugify(if post.draft.slug.is_empty() { &post.draft.title } else { &post.draft.slug });
        let ready = self.ready(post, author_id).await?;
        let done = self.store.import_post(&self.source, &ready).await?;
        self.report.comments += done.comments;
        match done.new_slug {
            None => self.report.known += 1,
            Some(slug) => {
                if slug != wanted {
                    self.note(&key, format!("its name `{wanted}` was taken: it is `{slug}`"));
                }
                *(if is_page { &mut self.report.pages } else { &mut self.report.posts }) += 1;
            }
        }
        Ok(())
    }

    /// What our rules would refuse in small things is cut to size, with a note.
    fn fit(&mut self, post: &mut IncomingPost) {
        let draft = &mut post.draft;
        rules::tidy(draft);
        let mut cut = Vec::new();
        if draft.title.chars().count() > rules::TITLE_CHARS_MAX {
            draft.title = text::shorten(&draft.title, rules::TITLE_CHARS_MAX - 1);
            cut.push("its title was cut");
        }
        if draft.summary.chars().count() > rules::SUMMARY_CHARS_MAX {
            draft.summary = text::shorten(&draft.summary, rules::SUMMARY_CHARS_MAX - 1);
            cut.push("its summary was cut");
        }
        let before = draft.tags.len();
        draft.tags.retain(|tag| !tag.is_empty() && tag.chars().count() <= rules::TERM_CHARS_MAX);
        draft.tags.truncate(rules::TAGS_MAX);
        if draft.tags.len() < before {
            cut.push("tags beyond 20, or of more than 50 characters, were left out");
        }
        if !draft.cover.is_empty() && crate::pictures::content_type(&draft.cover).is_none() {
            draft.cover.clear();
            cut.push("its cover is not among the pictures");
        }
        let key = post.key.clone();
        for what in cut {
            self.note(&key, what);
        }
    }

    /// Keeps the files that the text shows, and puts their new addresses into it.
    async fn pictures(&mut self, post: &mut IncomingPost) -> Result<(), TransferError> {
        for (address, file) in std::mem::take(&mut post.pictures) {
            match picture(&file).await {
                Ok(picture) => {
                    let name = picture.file.clone();
                    self.options.place.keep(self.store, picture, (None, self.options.now)).await?;
                    post.draft.body = files::readdress(&post.draft.body, &address, &format!("/media/{name}"));
                    if post.draft.cover == address {
                        post.draft.cover = name;
                    }
                    self.report.pictures += 1;
                }
                Err(why) => self.note(&post.key, format!("its picture {address} was left out: {why}")),
            }
        }
        Ok(())
    }

    async fn ready(&mut self, post: IncomingPost, author_id: i64) -> Result<ImportPost, TransferError> {
        let mut revisions: Vec<(ImportRevision, i64)> = Vec::new();
        for (revision, author) in post.revisions {
            let author = if author.is_empty() { author_id } else { self.named(&author).await? };
            revisions.push((revision, author));
        }
        let comments = post.comments.into_iter().map(|comment| self.comment(comment)).collect();
        Ok(ImportPost {
            key: post.key,
            draft: post.draft,
            author_id,
            created_at: post.created_at,
            updated_at: post.updated_at,
            published_at: post.published_at,
            views: post.views,
            paths: post.paths,
            slugs: post.slugs,
            revisions,
            comments,
        })
    }

    fn comment(&self, comment: IncomingComment) -> ImportComment {
        let IncomingComment { key, answers, author, email, url, body, status, address, at, user } = comment;
        let comment = NewComment {
            post_id: 0,
            parent_id: None,
            user_id: self.accounts.get(&user).copied(),
            author_name: if author.trim().is_empty() {
                "?".to_owned()
            } else {
                text::shorten(&text::typed(author.trim()), 50)
            },
            author_email: text::shorten(&email, 200),
            author_url: text::shorten(&url, 200),
            body: text::typed(&body),
            status,
            address: text::shorten(&address, 64),
        };
        ImportComment { key, answers, comment, at }
    }

    async fn author_of(&mut self, post: &IncomingPost) -> Result<i64, TransferError> {
        if !post.author.is_empty() {
            return self.named(&post.author).await;
        }
        let Some(name) = &self.options.author else { return Err(TransferError::NoAuthor(post.key.clone())) };
        match self.store.user_by_name(&name.trim().to_lowercase()).await? {
            Some(user) => Ok(user.id),
            None => Err(TransferError::NoAuthor(format!("{} (there is no account `{name}`)", post.key))),
        }
    }

    async fn named(&mut self, name: &str) -> Result<i64, TransferError> {
        match self.accounts.get(name) {
            Some(id) => Ok(*id),
            None => self.account(&Author { name: name.to_owned(), ..Author::default() }).await,
        }
    }

    /// The account of an author: the one of that name, or a new one that nobody can sign in with yet.
    async fn account(&mut self, author: &Author) -> Result<i64, TransferError> {
        let lower = author.name.trim().to_lowercase();
        let username =
            if is_username(&lower) { lower } else { text::shorten(&text::slugify(&author.name), 59) };
        let id = match self.store.user_by_name(&username).await? {
            Some(user) => user.id,
            None => {
                let shown = if author.shown.is_empty() { &author.name } else { &author.shown };
                let hash =
                    if author.password_hash.is_empty() { NO_PASSWORD } else { author.password_hash.as_str() };
                let role = author.role.unwrap_or(Role::Author);
                let shown = text::shorten(shown.trim(), 49);
                let id = self.store.create_user((&username, &shown), hash, role, self.options.now).await?;
                if !author.bio.is_empty() {
                    self.store.set_profile(id, (&shown, &author.bio)).await?;
                }
                self.report.accounts += 1;
                if hash == NO_PASSWORD {
                    let set =
                        format!("a new account without a password; `blog user password {username}` sets one");
                    self.note(&username, set);
                }
                id
            }
        };
        self.accounts.insert(author.name.clone(), id);
        Ok(id)
    }

    fn note(&mut self, about: &str, what: impl Into<String>) {
        self.report.notes.push((about.to_owned(), what.into()));
    }
}

async fn picture(file: &Path) -> Result<crate::store::NewMedia, String> {
    let title = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = tokio::fs::read(file).await.map_err(|error| error.to_string())?;
    tokio::task::spawn_blocking(move || encode(&bytes, &title))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}
