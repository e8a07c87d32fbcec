//! Example content: posts in Chinese and English, always the same ones, so that two databases of the same size are
//! alike and filling one again changes nothing.

mod corpus;
mod pictures;

use crate::store::{
    CommentStatus, Draft, LoadPost, NewComment, NewFile, NewMedia, Publication, Role, Settings, Store,
    StoreError,
};
use crate::text;
use corpus::{Corpus, Subject};

/// The newest example post: 2026-06-20T08:00:00+08:00.
const NEWEST: i64 = 1_781_913_600;
/// Posts of one transaction.
const BATCH: usize = 200;
/// Pictures that the posts share.
const PICTURES: u32 = 24;

/// The example author's name to sign in with.
pub const AUTHOR: &str = "demo";

/// What filling did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// New posts.
    pub posts: usize,
    /// New comments.
    pub comments: usize,
}

/// Fills the store until it holds the first `count` example posts. `password_hash` lets `demo` sign in.
///
/// # Errors
/// When the database is away.
pub async fn fill(store: &Store, count: u32, password_hash: Option<&str>) -> Result<Filled, StoreError> {
    let corpus = Corpus::read();
    let author = account(store, (AUTHOR, "林知远"), password_hash).await?;
    let second = account(store, ("maya", "Maya Lindqvist"), None).await?;
    if store.settings().await? == Settings::default() {
        store.save_settings(&settings()).await?;
    }
    for number in 0..PICTURES {
        store.add_media(&picture(number), Some(author), NEWEST).await?;
    }
    store.load_posts(&[about(author)]).await?;
    let mut filled = Filled::default();
    // The oldest first, as a blog is written: a larger number is a newer post.
    let numbers: Vec<u32> = (0..count).rev().collect();
    for batch in numbers.chunks(BATCH) {
        let posts: Vec<LoadPost> =
            batch.iter().map(|number| post(&corpus, *number, (author, second))).collect();
        let ids = store.load_posts(&posts).await?;
        let mut comments = Vec::new();
        for ((number, id), post) in batch.iter().zip(ids).zip(&posts) {
            let Some(id) = id else { continue };
            filled.posts += 1;
            comments.extend(comments_of(&corpus, *number, (id, post.created_at)));
        }
        filled.comments += comments.len();
        store.load_comments(&comments).await?;
    }
    Ok(filled)
}

async fn account(
    store: &Store,
    (name, shown): (&str, &str),
    password_hash: Option<&str>,
) -> Result<i64, StoreError> {
    if let Some(user) = store.user_by_name(name).await? {
        if let Some(hash) = password_hash {
            store.set_password(user.id, hash, "").await?;
        }
        return Ok(user.id);
    }
    let role = if name == AUTHOR { Role::Editor } else { Role::Author };
    // `!` is no hash, so no password fits.
    store.create_user((name, shown), password_hash.unwrap_or("!"), role, NEWEST).await
}

fn settings() -> Settings {
    Settings {
        title: "灰度手记".to_owned(),
        tagline: "写给会变化的软件 · Notes on software that changes while it runs".to_owned(),
        ..Settings::default()
    }
}

fn about(author_id: i64) -> LoadPost {
    let body = "这里记录软件怎样在运行中改变：发布、观测、数据库，还有读过的书。\n\n\
                This is a notebook about software that changes while it runs: releases, observability, databases, \
                and a few books.\n\n- 订阅 / Feed: [Atom](/feed.xml)\n- 归档 / Archive: [/archive](/archive)\n";
    let draft = Draft {
        kind: "page",
        slug: "about".to_owned(),
        title: "关于 · About".to_owned(),
        body: body.to_owned(),
        publication: Publication::Published(NEWEST),
        ..Draft::default()
    };
    LoadPost { draft, author_id, created_at: NEWEST, updated_at: NEWEST }
}

/// When post `number` was published: about every 31 hours, and every hour beyond the first two thousand.
fn published(number: u32) -> i64 {
    let number = i64::from(number);
    let hours = number.min(2_000) * 31 + (number - 2_000).max(0);
    NEWEST - hours * 3600 - (number * 1_237) % 2_400
}

fn post(corpus: &Corpus, number: u32, (author, second): (i64, i64)) -> LoadPost {
    let mut dice = Dice::new(number);
    let subject = &corpus.subjects[dice.below(corpus.subjects.len())];
    let at = published(number);
    let title = title(subject, number, &mut dice);
    let draft = Draft {
        kind: "post",
        slug: format!("{}-{}", text::slugify(&title), number + 1),
        body: body(subject, &mut dice),
        summary: String::new(),
        category: subject.category.clone(),
        tags: subject.tags.clone(),
        cover: if dice.below(5) < 2 { picture_name(dice.below(PICTURES as usize)) } else { String::new() },
        comments_open: dice.below(12) > 0,
        publication: Publication::Published(at),
        title,
    };
    let author_id = if subject.is_chinese { author } else { second };
    LoadPost { draft, author_id, created_at: at, updated_at: at }
}

fn title(subject: &Subject, number: u32, dice: &mut Dice) -> String {
    let title = &subject.titles[dice.below(subject.titles.len())];
    // Titles come round; later ones are told apart as parts of a series.
    match number / 60 {
        0 => title.clone(),
        round if subject.is_chinese => format!("{title}（{}）", round + 1),
        round => format!("{title}, part {}", round + 1),
    }
}

fn body(subject: &Subject, dice: &mut Dice) -> String {
    let mut parts: Vec<&(String, String)> = subject.parts.iter().collect();
    let mut body = String::new();
    for index in 0..3 + dice.below(2) {
        if parts.is_empty() {
            break;
        }
        let (heading, content) = parts.remove(dice.below(parts.len()));
        // The first part opens the post without a heading.
        if index > 0 {
            body.push_str(&format!("## {heading}\n\n"));
        }
        body.push_str(content);
        body.push_str("\n\n");
    }
    body
}

fn comments_of(corpus: &Corpus, number: u32, (post_id, at): (i64, i64)) -> Vec<(NewComment, i64)> {
    let mut dice = Dice::new(number.wrapping_add(0x5eed));
    let count = [0, 0, 1, 2, 3, 5][dice.below(6)];
    let lines = &corpus.comments;
    (0..count)
        .map(|index| {
            let (name, body) = &lines[dice.below(lines.len())];
            let status = if dice.below(15) == 0 { CommentStatus::Pending } else { CommentStatus::Approved };
            let comment = NewComment {
                post_id,
                parent_id: None,
                user_id: None,
                author_name: name.clone(),
                author_email: String::new(),
                author_url: String::new(),
                body: body.clone(),
                status,
                address: format!("192.0.2.{}", 1 + dice.below(250)),
            };
            (comment, at + 3600 * (3 + 17 * i64::from(index)))
        })
        .collect()
}

fn picture_name(index: usize) -> String {
    format!("example-{:02}.svg", index + 1)
}

fn picture(number: u32) -> NewMedia {
    let content = pictures::draw(number).into_bytes();
    NewMedia {
        bytes: i64::try_from(content.len()).unwrap_or(i64::MAX),
        file: picture_name(number as usize),
        title: format!("Example {}", number + 1),
        width: 1280,
        height: 720,
        files: vec![NewFile {
            file: picture_name(number as usize),
            content_type: "image/svg+xml",
            width: 1280,
            content,
        }],
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every machine and in every version of a library.
struct Dice(u64);

impl Dice {
    fn new(seed: u32) -> Self {
        Self(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6875_6964_7521)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % bound
    }
}
