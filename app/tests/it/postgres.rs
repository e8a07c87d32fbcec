//! A real PostgreSQL server for the tests: its own folder, a Unix socket and no port. It ends with the test process,
//! because the shell around it waits for the end of its standard input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use blog::store::DatabaseUrl;
use sqlx::Connection as _;
use tokio::sync::OnceCell;

/// Creates a cluster, serves until standard input ends, and leaves nothing behind. Lines on standard input stop and
/// start it. PostgreSQL refuses to run as root, so root becomes nobody first.
const SCRIPT: &str = r#"
set -e
dir=$(mktemp -d /tmp/blog-pg.XXXXXX)
as=""
if [ "$(id -u)" = 0 ]; then chown 65534:65534 "$dir"; as="setpriv --reuid=65534 --regid=65534 --clear-groups"; fi
cd "$dir"
$as "$1/initdb" -D "$dir/data" -A trust -U blog --no-sync -E UTF8 --locale=C >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
start() {
  $as "$1/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c autovacuum=off -c max_connections=200 >>"$dir/log" 2>&1 &
  pid=$!
  for _ in $(seq 300); do [ -S "$dir/.s.PGSQL.5432" ] && break; sleep 0.1; done
}
stop() { kill -INT $pid 2>/dev/null; wait $pid 2>/dev/null || true; }
trap 'stop; rm -rf "$dir"' EXIT
start "$1"
echo "$dir"
while read -r word; do
  if [ "$word" = stop ]; then stop; else start "$1"; fi
  echo "$word"
done
"#;

/// A running server.
pub(crate) struct Server {
    folder: String,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Its standard input ends with the process, and the server with it.
    _shell: Child,
}

impl Server {
    /// A server of one test's own, or `None` where PostgreSQL is not installed.
    pub(crate) fn own() -> Option<Self> {
        let server = start();
        tell_if_missing(server.is_some());
        server
    }

    /// The URL of a database.
    pub(crate) fn url(&self, name: &str) -> DatabaseUrl {
        DatabaseUrl::Postgres(self.text_url(name))
    }

    fn text_url(&self, name: &str) -> String {
        format!("postgres://blog@localhost/{name}?host={}", self.folder)
    }

    /// Ends it, as its administrator would: connections are cut.
    pub(crate) fn stop(&mut self) {
        self.say("stop");
    }

    /// Starts it again.
    pub(crate) fn start(&mut self) {
        self.say("start");
    }

    fn say(&mut self, word: &str) {
        writeln!(self.input, "{word}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), word);
    }
}

fn tell_if_missing(is_there: bool) {
    if !is_there {
        assert!(
            std::env::var("BLOG_TEST_POSTGRES").as_deref() != Ok("required"),
            "no PostgreSQL server programs found; install postgresql"
        );
        eprintln!("skipped: PostgreSQL is not installed");
    }
}

static SERVER: OnceCell<Option<Server>> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A new empty database, or `None` where PostgreSQL is not installed (and `BLOG_TEST_POSTGRES` is not `required`).
pub(crate) async fn database() -> Option<DatabaseUrl> {
    let server = SERVER.get_or_init(|| async { start() }).await;
    tell_if_missing(server.is_some());
    let server = server.as_ref()?;
    let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut admin = administrator(&server.text_url("postgres")).await;
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    Some(server.url(&name))
}

/// A connection to a server whose socket may be there before it answers.
async fn administrator(url: &str) -> sqlx::PgConnection {
    for _ in 0..300 {
        match sqlx::PgConnection::connect(url).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57P03") => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => return answer.unwrap(),
        }
    }
    panic!("PostgreSQL goes on starting")
}

fn start() -> Option<Server> {
    let programs = programs()?;
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(programs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut folder = String::new();
    let mut output = BufReader::new(shell.stdout.take().unwrap());
    output.read_line(&mut folder).unwrap();
    assert!(!folder.trim().is_empty(), "PostgreSQL did not start");
    let input = shell.stdin.take().unwrap();
    Some(Server { folder: folder.trim().to_owned(), input, output, _shell: shell })
}

/// The folder with `initdb` and `postgres`: on the path, or where Debian puts it.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path().join("bin"));
    std::env::split_paths(&path)
        .chain(debian)
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}
