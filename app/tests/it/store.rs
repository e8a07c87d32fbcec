//! The store, on SQLite and on PostgreSQL alike: every test below runs on both.

use blog::store::schema::{CHANGES, known_version};
use blog::store::{
    CommentStatus, Cursor, DatabaseUrl, Draft, Filter, From, NewComment, NewFile, NewMedia, NewSession,
    Publication, Role, Store, StoreError, TokenScope, Window,
};

use crate::postgres;
use crate::support::migrated;

/// A database of its own for one test.
struct Place {
    url: DatabaseUrl,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        Some(Self { url: DatabaseUrl::Sqlite(folder.path().join("blog.db")), _folder: Some(folder) })
    }

    async fn postgres() -> Option<Self> {
        Some(Self { url: postgres::database().await?, _folder: None })
    }

    async fn migrated(&self) -> Store {
        migrated(&self.url).await
    }
}

/// Runs each test once on each database.
macro_rules! on_both {
    ($($(#[$attribute:meta])* async fn $name:ident($place:ident: &Place) $body:block)*) => {
        $(async fn $name($place: &Place) $body)*

        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Place::sqlite().await.unwrap()).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(place) = super::Place::postgres().await {
                    super::$name(&place).await;
                }
            })*
        }
    };
}

fn draft(title: &str, at: i64) -> Draft {
    Draft {
        kind: "post",
        title: title.to_owned(),
        body: format!("The text of {title}."),
        category: "Notes".to_owned(),
        tags: vec!["Rust".to_owned(), "灰度 发布".to_owned()],
        publication: Publication::Published(at),
        comments_open: true,
        ..Draft::default()
    }
}

async fn author(store: &Store) -> i64 {
    store.create_user(("ada", "Ada"), "!", Role::Author, 1).await.unwrap()
}

/// A statement that only a test needs.
async fn write(place: &Place, sql: &'static str) {
    match &place.url {
        DatabaseUrl::Sqlite(path) => {
            let url = format!("sqlite:{}", path.display());
            sqlx::query(sql).execute(&sqlx::SqlitePool::connect(&url).await.unwrap()).await.unwrap();
        }
        DatabaseUrl::Postgres(url) => {
            sqlx::query(sql).execute(&sqlx::PgPool::connect(url).await.unwrap()).await.unwrap();
        }
    }
}

on_both! {
async fn what_is_saved_is_read_again(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let saved = store.create_post(&draft("灰度", 100), ada, 50).await.unwrap();
    let post = store.post(saved.id).await.unwrap().unwrap();
    assert_eq!((post.slug.as_str(), post.category.as_str(), post.version), ("灰度", "Notes", 1));
    let tags: Vec<_> = post.tags().iter().map(|tag| (tag.slug, tag.name)).collect();
    assert_eq!(tags, [("rust", "Rust"), ("灰度-发布", "灰度 发布")]);
    assert!(post.is_public(100) && !post.is_public(99));
}

async fn equal_titles_get_different_addresses(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let mut slugs = Vec::new();
    for _ in 0..3 {
        slugs.push(store.create_post(&draft("Same", 100), ada, 50).await.unwrap().slug);
    }
    assert_eq!(slugs, ["same", "same-2", "same-3"]);
}

async fn lists_by_tag_category_and_time_hold_what_belongs_there_in_order(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    for at in 1..=25 {
        store.create_post(&draft(&format!("Post {at}"), at * 10), ada, 5).await.unwrap();
    }
    let now = 200;
    let tag = store.tags(now).await.unwrap()[0].clone();
    let category = store.categories(now).await.unwrap()[0].clone();
    assert_eq!((tag.posts, category.posts), (20, 20), "scheduled posts are not counted");
    for filter in [Filter::All, Filter::Tag(tag.id), Filter::Category(category.id)] {
        let page = store.list(filter, From::Newest, Window { now, size: 7 }).await.unwrap();
        let times: Vec<i64> = page.posts.iter().map(|post| post.published_at).collect();
        assert_eq!(times, [200, 190, 180, 170, 160, 150, 140], "{filter:?}");
        assert!(page.newer.is_none());
        let older = store.list(filter, From::Before(page.older.unwrap()), Window { now, size: 7 }).await.unwrap();
        assert_eq!(older.posts[0].published_at, 130, "{filter:?}");
        let back = store.list(filter, From::After(older.newer.unwrap()), Window { now, size: 7 }).await.unwrap();
        assert_eq!(back.posts.iter().map(|post| post.published_at).collect::<Vec<_>>(), times, "{filter:?}");
    }
    let between = Filter::Between { from: 50, until: 80 };
    let page = store.list(between, From::Newest, Window { now, size: 7 }).await.unwrap();
    assert_eq!(page.posts.iter().map(|post| post.published_at).collect::<Vec<_>>(), [70, 60, 50]);
    assert!(page.older.is_none() && page.newer.is_none());
    let far = From::Before(Cursor { at: 1, id: 1 });
    let empty = store.list(Filter::All, far, Window { now, size: 7 }).await.unwrap();
    assert!(empty.posts.is_empty() && empty.older.is_none() && empty.newer.is_some());
}

async fn a_save_on_an_old_version_is_a_conflict_and_changes_nothing(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let saved = store.create_post(&draft("One", 100), ada, 50).await.unwrap();
    store.update_post((saved.id, 1), &draft("Two", 100), ada, 60).await.unwrap();
    let late = store.update_post((saved.id, 1), &draft("Three", 100), ada, 70).await;
    assert!(matches!(late, Err(StoreError::Conflict(2))), "{late:?}");
    let post = store.post(saved.id).await.unwrap().unwrap();
    assert_eq!((post.title.as_str(), post.version), ("Two", 2));
    assert_eq!(store.renamed("one").await.unwrap().as_deref(), Some("two"));
    assert!(matches!(store.update_post((999, 1), &draft("x", 1), ada, 1).await, Err(StoreError::Missing)));
}

async fn many_savers_at_once_lose_nothing_and_one_wins_each_version(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let saved = store.create_post(&draft("Race", 100), ada, 50).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..8 {
        let other = Store::open(&place.url).await.unwrap();
        tasks.push(tokio::spawn(async move {
            let outcome = other.update_post((saved.id, 1), &draft(&format!("Race {number}"), 100), ada, 60).await;
            assert!(matches!(outcome, Ok(_) | Err(StoreError::Conflict(_))), "{outcome:?}");
            outcome.is_ok()
        }));
    }
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap());
    }
    assert_eq!(won, 1);
    assert_eq!(store.post(saved.id).await.unwrap().unwrap().version, 2);
}

async fn views_of_many_processes_add_up(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let id = store.create_post(&draft("Read", 100), ada, 50).await.unwrap().id;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let other = Store::open(&place.url).await.unwrap();
        tasks.push(tokio::spawn(async move {
            for _ in 0..25 {
                other.add_views(&[(id, 2), (999_999, 1)]).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.post(id).await.unwrap().unwrap().views, 200);
}

async fn a_session_ends_at_its_time_and_with_a_new_password(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let session = |token: &str| NewSession {
        token_hash: token.to_owned(),
        user_id: ada,
        expires_at: 1_000,
        user_agent: String::new(),
        address: String::new(),
    };
    store.start_session(&session("a"), 1).await.unwrap();
    store.start_session(&session("b"), 1).await.unwrap();
    assert!(store.session_user("a", 999).await.unwrap().is_some());
    assert!(store.session_user("a", 1_000).await.unwrap().is_none());
    store.set_password(ada, "new", "b").await.unwrap();
    assert!(store.session_user("a", 5).await.unwrap().is_none());
    assert!(store.session_user("b", 5).await.unwrap().is_some(), "the session that changed it stays");
}

async fn a_comment_sent_twice_is_kept_once(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let post_id = store.create_post(&draft("Talk", 100), ada, 50).await.unwrap().id;
    let comment = NewComment {
        post_id,
        parent_id: None,
        user_id: None,
        author_name: "x".to_owned(),
        author_email: String::new(),
        author_url: String::new(),
        body: "hello".to_owned(),
        status: CommentStatus::Approved,
        address: String::new(),
    };
    let first = store.add_comment(&comment, 1_000).await.unwrap();
    assert_eq!(store.add_comment(&comment, 1_100).await.unwrap(), first);
    assert_ne!(store.add_comment(&comment, 9_000).await.unwrap(), first);
    assert_eq!(store.comments(post_id).await.unwrap().len(), 2);
}

async fn a_database_without_a_schema_is_refused_by_name_and_a_newer_one_is_fine(place: &Place) {
    let store = Store::create(&place.url).await.unwrap();
    let error = store.check_schema().await.unwrap_err().to_string();
    assert!(error.contains("no schema") && error.contains("blog migrate"), "{error}");
    let known: Vec<i64> = CHANGES.iter().map(|change| change.version).collect();
    assert_eq!(store.migrate().await.unwrap(), known);
    assert_eq!(store.migrate().await.unwrap(), Vec::<i64>::new());
    write(
        place,
        "INSERT INTO _sqlx_migrations(version, description, success, checksum, execution_time) \
         SELECT 2000, 'of a newer program', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    )
    .await;
    let state = store.check_schema().await.unwrap();
    assert_eq!((state.applied, state.known), (2_000, known_version()));
    assert_eq!(store.migrate().await.unwrap(), Vec::<i64>::new(), "an older program's migrate changes nothing");
    write(place, "UPDATE site_state SET value = 2000 WHERE name = 'oldest_schema'").await;
    let error = store.check_schema().await.unwrap_err().to_string();
    assert!(error.contains("from schema 2000 on") && error.contains("newer release"), "{error}");
    write(place, "DELETE FROM _sqlx_migrations WHERE version = 1").await;
    let error = store.check_schema().await.unwrap_err().to_string();
    assert!(error.contains("lacks migration 1 (create)"), "{error}");
}

async fn two_migrations_at_once_wait_for_each_other(place: &Place) {
    let (one, two) = (Store::create(&place.url).await.unwrap(), Store::create(&place.url).await.unwrap());
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    let mut applied = [first.unwrap().len(), second.unwrap().len()];
    applied.sort_unstable();
    assert_eq!(applied, [0, CHANGES.len()]);
    one.check_schema().await.unwrap();
}

async fn chinese_and_english_words_are_found_and_nothing_else(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let mut body = draft("第一篇", 100);
    body.body = "灰度发布从百分之一开始。Kubernetes makes it easy.".to_owned();
    store.create_post(&body, ada, 50).await.unwrap();
    let mut title = draft("灰度", 90);
    title.body = "别的内容".to_owned();
    let edited = store.create_post(&title, ada, 50).await.unwrap();
    let slugs = async |query: &str| -> Vec<String> {
        store.search(query, 100, 0).await.unwrap().into_iter().map(|hit| hit.post.slug).collect()
    };
    assert_eq!(slugs("灰度").await, ["灰度", "第一篇"], "a title counts more");
    assert_eq!(slugs("发布 KUBERNETES").await, ["第一篇"]);
    assert_eq!(slugs("灰度发布从百分之一").await, ["第一篇"]);
    assert!(slugs("度灰").await.is_empty() && slugs("rust").await.is_empty() && slugs("'\"%_*").await.is_empty());
    title.body = "改成了 rust".to_owned();
    store.update_post((edited.id, 1), &title, ada, 60).await.unwrap();
    assert_eq!(slugs("rust").await, ["灰度"]);
    assert!(slugs("别的").await.is_empty(), "the old text is forgotten");
}

async fn one_character_and_the_beginning_of_a_word_are_found_and_a_phrase_must_stand_together(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let bodies = [("One", "灰度发布 of Kubernetes"), ("Two", "先灰度，度发，然后发布"), ("Three", "kub is a word")];
    for (number, (title, body)) in bodies.into_iter().enumerate() {
        let mut post = draft(title, 100 + i64::try_from(number).unwrap());
        post.body = body.to_owned();
        store.create_post(&post, ada, 50).await.unwrap();
    }
    let slugs = async |query: &str| -> Vec<String> {
        store.search(query, 200, 0).await.unwrap().into_iter().map(|hit| hit.post.slug).collect()
    };
    assert_eq!(slugs("灰").await, ["two", "one"]);
    assert_eq!(slugs("布").await, ["two", "one"], "the last one of a run too");
    assert_eq!((slugs("灰度发布").await, slugs("发布 灰度").await), (vec!["one".to_owned()], vec!["two".to_owned(), "one".to_owned()]));
    assert_eq!(slugs("kubern").await, ["one"]);
    assert_eq!(slugs("灰 kubern").await, ["one"]);
    assert_eq!(slugs("kub").await, ["three"], "a whole word comes before a beginning");
    assert!(slugs("ku").await.is_empty() && slugs("ernetes").await.is_empty() && slugs("的").await.is_empty());
}

async fn what_an_older_release_indexed_in_its_way_is_completed_by_the_next_migrate(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    store.create_post(&draft("灰度", 100), ada, i64::MAX / 2).await.unwrap();
    write(place, "DELETE FROM post_terms").await;
    assert!(store.search("灰", 100, 0).await.unwrap().is_empty());
    store.migrate().await.unwrap();
    assert_eq!(store.search("灰", 100, 0).await.unwrap().len(), 1);
}

async fn a_token_leads_to_its_account_until_it_is_taken_back(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    store.add_token(ada, ("script", "hash", TokenScope::Read), 10).await.unwrap();
    let owner = store.token_owner("hash", 1_000).await.unwrap().unwrap();
    assert_eq!((owner.user.id, owner.scope), (ada, TokenScope::Read));
    assert!(store.token_owner("other", 1_000).await.unwrap().is_none());
    assert_eq!(store.tokens(ada).await.unwrap()[0].used_at, Some(1_000));
    store.revoke_token(ada, owner.token_id).await.unwrap();
    assert!(store.token_owner("hash", 1_001).await.unwrap().is_none());
}

async fn what_was_saved_is_listed_by_account_and_status_from_a_place_on(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let bob = store.create_user(("bob", "Bob"), "!", Role::Author, 1).await.unwrap();
    for (number, who) in [ada, bob, ada, ada].into_iter().enumerate() {
        let draft = Draft { publication: Publication::Draft, ..draft(&format!("Post {number}"), 0) };
        store.create_post(&draft, who, 100).await.unwrap();
    }
    let start = Cursor { at: i64::MAX, id: i64::MAX };
    let ids = |rows: Vec<blog::store::PostRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.saved_before(start, (None, None), 10).await.unwrap()), [4, 3, 2, 1]);
    assert_eq!(ids(store.saved_before(start, (Some(ada), Some("draft")), 2).await.unwrap()), [4, 3]);
    let after = Cursor { at: 100, id: 3 };
    assert_eq!(ids(store.saved_before(after, (Some(ada), Some("draft")), 2).await.unwrap()), [1]);
    assert!(store.saved_before(start, (None, Some("published")), 10).await.unwrap().is_empty());
}

async fn a_picture_is_kept_once_and_known_by_its_account_and_by_the_posts_that_show_it(place: &Place) {
    let store = place.migrated().await;
    let ada = author(&store).await;
    let file = "0123456789abcdef-700x500.jpg".to_owned();
    let new = NewMedia {
        file: file.clone(),
        title: "A".to_owned(),
        width: 700,
        height: 500,
        bytes: 1,
        files: vec![NewFile { file: file.clone(), content_type: "image/jpeg", width: 700, content: vec![7] }],
    };
    store.add_media(&new, Some(ada), 1).await.unwrap();
    store.add_media(&new, None, 2).await.unwrap();
    assert_eq!(store.media(i64::MAX, None).await.unwrap().len(), 1);
    assert_eq!(store.media(i64::MAX, Some(ada)).await.unwrap().len(), 1);
    assert!(store.media(i64::MAX, Some(ada + 1)).await.unwrap().is_empty());
    assert_eq!(store.media_file(&file).await.unwrap().unwrap().content, [7]);
    let shows = Draft { body: "![x](/media/0123456789abcdef-700x500-320.jpg)".to_owned(), ..draft("Shows", 1) };
    let covered = Draft { cover: file.clone(), ..draft("Covered", 1) };
    for draft in [&shows, &covered, &draft("Other", 1)] {
        store.create_post(draft, ada, 5).await.unwrap();
    }
    let titles: Vec<String> =
        store.posts_with_picture(&file).await.unwrap().into_iter().map(|(_, title)| title).collect();
    assert_eq!(titles, ["Shows", "Covered"]);
    let id = store.medium_by_file(&file).await.unwrap().unwrap().id;
    store.delete_media(id).await.unwrap();
    assert!(store.media_file(&file).await.unwrap().is_none());
}

async fn examples_are_the_same_every_time_and_filling_again_changes_nothing(place: &Place) {
    let other = Place::sqlite().await.unwrap();
    let (first, second) = (place.migrated().await, other.migrated().await);
    let filled = blog::seed::fill(&first, 60, None).await.unwrap();
    assert_eq!(filled.posts, 60);
    assert!(filled.comments > 30);
    blog::seed::fill(&second, 20, None).await.unwrap();
    blog::seed::fill(&second, 60, None).await.unwrap();
    let again = blog::seed::fill(&second, 60, None).await.unwrap();
    assert_eq!((again.posts, again.comments), (0, 0));
    let all = Window { now: i64::MAX - 1, size: 100 };
    let posts = |page: blog::store::ListPage| -> Vec<_> {
        page.posts.into_iter().map(|p| (p.slug, p.summary, p.published_at, p.cover)).collect()
    };
    let a = posts(first.list(Filter::All, From::Newest, all).await.unwrap());
    let b = posts(second.list(Filter::All, From::Newest, all).await.unwrap());
    assert_eq!(a, b);
    assert_eq!(a.len(), 60);
}
}
