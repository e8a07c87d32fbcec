//! What a page costs must not grow with the blog. The work is counted, never timed: the bytes that a process reads of
//! its SQLite file, and the blocks that PostgreSQL looks at, for the first request of each page in a blog of a thousand
//! posts and in one of twenty thousand.

use std::path::Path;
use std::time::Duration;

use blog::store::{DatabaseUrl, Draft, LoadPost, Publication, Role, Store};
use blog::web::Options;
use sqlx::Connection as _;

use crate::postgres;
use crate::process::{Process, Visitor};
use crate::support::{TestBlog, options};

/// Posts of the small blog.
const SMALL: i64 = 1_000;
/// The large blog has each of them once more for each of these.
const COPIES: i64 = 19;
/// The size of a block of SQLite, so that both databases are counted alike.
const BLOCK_BYTES: u64 = 4096;
/// Blocks that a page of the small blog may be spared, because its index is in fewer parts, and at hand already.
const SQLITE_SPARED: u64 = 150;
/// The same as for SQLite, because too few of a thousand posts have a word for all the ways on which PostgreSQL looks
/// for a common one.
const POSTGRES_SPARED: u64 = 1_700;
/// What the first page costs in any blog: the schema is read for each connection, and its connections are new.
const FIRST_PAGE: u64 = 600;

/// Every kind of page, and words that are everywhere, frequent, rare, in titles, nowhere, unfinished, apart.
const PAGES: &[&str] = &[
    "/?before=1700500000-1",
    "/posts/post-7",
    "/tags/tag1",
    "/categories/notes",
    "/archive/2023/11",
    "/feed.xml",
    "/search?q=common",
    "/search?q=发布",
    "/search?q=布",
    "/search?q=twentieth",
    "/search?q=common twentieth",
    "/search?q=fiftieth",
    "/search?q=xyzzy",
    "/search?q=common xyzzy",
    "/search?q=kubern",
    "/search?q=common&page=5",
];

fn post(number: i64) -> LoadPost {
    let every = |n: i64, text: &'static str| if number % n == 0 { text } else { "" };
    let filler = "Nothing in it is looked for, it only makes the post as long as posts are. ".repeat(12);
    let body = [
        "A common word.",
        every(3, "灰度发布从百分之一开始。"),
        every(10, "Kubernetes."),
        every(20, "The twentieth."),
        &filler,
    ];
    let at = 1_700_000_000 + number * 900;
    LoadPost {
        draft: Draft {
            kind: "post",
            slug: format!("post-{number}"),
            title: format!("Post {number} {}{}", every(50, "fiftieth"), every(15, "发布")),
            body: body.join(" "),
            category: "Notes".to_owned(),
            tags: vec![format!("tag{}", number % 5)],
            publication: Publication::Published(at),
            comments_open: true,
            ..Draft::default()
        },
        author_id: 1,
        created_at: at,
        updated_at: at,
    }
}

/// Copies are older than what they are copies of and have larger numbers, as after an import.
const COPY: [&str; 4] = [
    "INSERT INTO posts(kind, slug, title, summary, body, status, published_at, created_at, updated_at, author_id, \
     category_id) SELECT p.kind, p.slug || '-' || n.id, p.title, p.summary, p.body, p.status, \
     p.published_at - n.id * 1000000, p.created_at, p.updated_at, p.author_id, p.category_id \
     FROM posts p CROSS JOIN posts n WHERE n.id <= $1",
    "INSERT INTO post_tags(post_id, tag_id, published_at) SELECT p.id, t.id, p.published_at FROM posts p \
     JOIN tags t ON t.id = p.id % 5 + 1 WHERE p.id > 1000 AND p.id > $1",
    "INSERT INTO comments(post_id, author_name, body, status, created_at) \
     SELECT id, 'x', 'hello', 'approved', created_at FROM posts WHERE id % 3 = 0 AND id > $1 - 100",
    "UPDATE site_state SET value = 0 WHERE name = 'indexed_until' AND value > $1",
];

/// A blog of a thousand posts, or of twenty thousand.
async fn fill(url: &DatabaseUrl, copies: i64) {
    let store = Store::create(url).await.unwrap();
    store.migrate().await.unwrap();
    store.create_user(("ada", "Ada"), "!", Role::Author, 1).await.unwrap();
    store.load_posts(&(0..SMALL).map(post).collect::<Vec<_>>()).await.unwrap();
    for sql in COPY {
        match url {
            DatabaseUrl::Sqlite(path) => {
                let url = format!("sqlite:{}", path.display());
                let mut file = sqlx::SqliteConnection::connect(&url).await.unwrap();
                sqlx::query(sql).bind(copies).execute(&mut file).await.unwrap();
            }
            DatabaseUrl::Postgres(url) => {
                let mut server = sqlx::PgConnection::connect(url).await.unwrap();
                sqlx::query(sql).bind(copies).execute(&mut server).await.unwrap();
            }
        }
    }
    store.migrate().await.unwrap();
    store.close().await;
}

/// Nothing that a page of the large blog costs is more than what it costs in the small one, and a little.
fn assert_flat((small, large): (&[u64], &[u64]), spared: u64) {
    let costs = PAGES.iter().zip(small).zip(large);
    let all: Vec<String> =
        costs.clone().map(|((page, small), large)| format!("{page}: {small}, {large}")).collect();
    for ((page, small), large) in costs {
        assert!(*large <= small + small / 2 + spared, "{page} grows: {all:#?}");
    }
}

#[tokio::test]
async fn twenty_times_the_posts_cost_sqlite_no_more_for_any_page() {
    let mut costs = Vec::new();
    for copies in [0, COPIES] {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("blog.db");
        fill(&DatabaseUrl::Sqlite(database.clone()), copies).await;
        costs.push(blocks_of_a_file(&database, SMALL * (copies + 1)).await);
    }
    assert_flat((&costs[0], &costs[1]), SQLITE_SPARED);
}

async fn blocks_of_a_file(database: &Path, posts: i64) -> Vec<u64> {
    let process = Process::start(database, &["--page-cache-mib", "0"]).await;
    let visitor = Visitor::stranger(process.address);
    // What every page shows of the site is read once for each state of the content, from indexes alone.
    let posts = u64::try_from(posts).unwrap();
    let before = process.bytes_read();
    visitor.get("/").await.unwrap();
    let first = (process.bytes_read() - before) / BLOCK_BYTES;
    assert!(first < posts / 20 + FIRST_PAGE, "{first} blocks for the first page with {posts} posts");
    let mut costs = Vec::new();
    for page in PAGES {
        let before = process.bytes_read();
        assert_eq!(visitor.get(&page.replace(' ', "+")).await.unwrap().status, 200, "{page}");
        costs.push((process.bytes_read() - before) / BLOCK_BYTES);
    }
    costs
}

#[tokio::test]
async fn twenty_times_the_posts_cost_postgresql_no_more_for_any_page() {
    let mut costs = Vec::new();
    for copies in [0, COPIES] {
        let Some(url) = postgres::database().await else { return };
        fill(&url, copies).await;
        let DatabaseUrl::Postgres(text) = &url else { unreachable!("it was made as one") };
        let mut vacuum = sqlx::PgConnection::connect(text).await.unwrap();
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut vacuum).await.unwrap();
        vacuum.close().await.unwrap();
        let mut admin = sqlx::PgConnection::connect(text).await.unwrap();
        // The first one also sees what the connections before it counted late.
        blocks_of_a_server(&url, &mut admin, &["/"]).await;
        let home = blocks_of_a_server(&url, &mut admin, &["/"]).await;
        let mut each = Vec::new();
        for page in PAGES {
            each.push(blocks_of_a_server(&url, &mut admin, &["/", page]).await.saturating_sub(home));
        }
        costs.push(each);
    }
    assert_flat((&costs[0], &costs[1]), POSTGRES_SPARED);
}

/// A server counts what a connection did when the connection has ended.
async fn blocks_of_a_server(url: &DatabaseUrl, admin: &mut sqlx::PgConnection, pages: &[&str]) -> u64 {
    let before = counted(admin).await;
    let blog = TestBlog::on(url, Options { page_cache_bytes: 0, ..options() }).await;
    for page in pages {
        assert_eq!(blog.get(&page.replace(' ', "+")).await.status, 200, "{page}");
    }
    blog.app.store.close().await;
    for _ in 0..500 {
        let (open,): (i64,) = sqlx::query_as(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .fetch_one(&mut *admin)
        .await
        .unwrap();
        if open == 0 {
            return counted(admin).await - before;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the connections of a closed store stay open");
}

async fn counted(admin: &mut sqlx::PgConnection) -> u64 {
    let (blocks,): (i64,) = sqlx::query_as(
        "SELECT SUM(heap_blks_read + heap_blks_hit + COALESCE(idx_blks_read + idx_blks_hit, 0) \
         + COALESCE(toast_blks_read + toast_blks_hit, 0))::BIGINT FROM pg_statio_user_tables",
    )
    .fetch_one(admin)
    .await
    .unwrap();
    u64::try_from(blocks).unwrap()
}
