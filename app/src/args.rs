//! The command line. Every flag has an environment variable; all of it is checked before any port is bound.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::pictures::{Place, PlaceError, PlaceName};
use crate::store::{DatabaseUrl, Role};
use crate::transfer::Source;
use crate::web::Accent;

/// `EX_USAGE` of sysexits.h: the command line is wrong, trying again won't help.
pub const EX_USAGE: u8 = 64;

/// A blog in one program, safe to release gradually.
#[derive(Debug, Parser)]
#[command(name = "blog", version, arg_required_else_help = true)]
pub struct Args {
    /// The database: sqlite:PATH or postgres://USER@HOST/NAME.
    #[arg(
        long,
        env = "BLOG_DATABASE_URL",
        default_value = "sqlite:run/blog.db",
        global = true,
        hide_env_values = true
    )]
    pub database_url: DatabaseUrl,
    /// Where the files of pictures are.
    #[command(flatten)]
    pub pictures: PicturesArgs,
    /// Lines of JSON instead of text in the log.
    #[arg(long, env = "BLOG_LOG_JSON", global = true)]
    pub log_json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the files of pictures are.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Pictures")]
pub struct PicturesArgs {
    /// Where the files of pictures are kept: database, folder:PATH, or s3:https://HOST/BUCKET[/FOLDER].
    #[arg(long, env = "BLOG_PICTURES", default_value = "database", global = true)]
    pub pictures: PlaceName,
    /// The region of the S3 bucket; stores that are not Amazon's mostly take this one.
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1", global = true)]
    pub s3_region: String,
    /// A file with aws_access_key_id and aws_secret_access_key, as Amazon's tools write it. Without it the keys come
    /// from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    #[arg(long, env = "AWS_SHARED_CREDENTIALS_FILE", global = true)]
    pub s3_credentials_file: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the blog.
    Serve(Box<ServeArgs>),
    /// Bring the database's schema up to this program's. Servers never do.
    Migrate,
    /// Fill the database with example posts. Doing it again changes nothing.
    Seed(SeedArgs),
    /// Take posts, pages, comments and pictures of another blog, or an export of this one. Doing it again brings what
    /// is new and changes nothing else.
    Import(ImportArgs),
    /// Write everything but sessions, tokens and invitations into a folder.
    Export(ExportArgs),
    /// Look whether the blog is whole: database, schema, settings, accounts, links, pictures. Status 1 when not.
    Check,
    /// Make accounts and set passwords.
    #[command(subcommand)]
    User(UserCommand),
}

/// Flags of `serve`.
#[derive(Debug, ClapArgs)]
pub struct ServeArgs {
    /// Where readers connect.
    #[arg(long, env = "BLOG_LISTEN", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Where Prometheus connects: /metrics, /healthz and /readyz on a port of their own.
    #[arg(long, env = "BLOG_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
    /// The version that pages, the x-app-version header and metrics show.
    #[arg(long, env = "APP_VERSION", default_value = concat!("v", env!("CARGO_PKG_VERSION")), value_parser = version_label)]
    pub app_version: String,
    /// Colour of links and buttons, six hexadecimal digits.
    #[arg(long, env = "BLOG_ACCENT", default_value = "#0f766e")]
    pub accent: Accent,
    /// The address readers use, for feeds and search engines; otherwise each request's Host.
    #[arg(long, env = "BLOG_BASE_URL", value_parser = base_url)]
    pub base_url: Option<String>,
    /// How many proxies in front append to X-Forwarded-For; 0 believes none.
    #[arg(long, env = "BLOG_TRUSTED_HOPS", default_value_t = 0)]
    pub trusted_hops: usize,
    /// Send the session cookie over plain HTTP too. For trying out on one machine or a NodePort, never in public.
    #[arg(long, env = "BLOG_PLAIN_HTTP")]
    pub plain_http: bool,
    /// How long a request may take.
    #[arg(long, env = "BLOG_REQUEST_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,
    /// MiB of whole pages kept for readers who are not signed in; 0 renders every page anew.
    #[arg(long, env = "BLOG_PAGE_CACHE_MIB", default_value_t = 4, value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub page_cache_mib: u16,
    /// After SIGTERM: how long to go on serving while /readyz says no, so that routers stop sending first.
    #[arg(long, env = "BLOG_DRAIN_DELAY", default_value = "5s", value_parser = duration)]
    pub drain_delay: Duration,
    /// After that: how long requests under way may take to finish.
    #[arg(long, env = "BLOG_DRAIN_TIMEOUT", default_value = "20s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// Faults on purpose, for demonstrations.
    #[command(flatten)]
    pub faults: FaultArgs,
}

/// Faults on purpose. Probes never have any.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Faults on purpose (off by default)")]
pub struct FaultArgs {
    /// Share of pages answered with 500, 0 to 1.
    #[arg(long, env = "BLOG_FAULT_ERROR_RATE", default_value_t = 0.0, value_parser = share)]
    pub fault_error_rate: f64,
    /// Share of pages that wait first, 0 to 1.
    #[arg(long, env = "BLOG_FAULT_SLOW_RATE", default_value_t = 0.0, value_parser = share)]
    pub fault_slow_rate: f64,
    /// How long those wait.
    #[arg(long, env = "BLOG_FAULT_SLOW", default_value = "800ms", value_parser = duration)]
    pub fault_slow: Duration,
    /// End with status 1 at once.
    #[arg(long, env = "BLOG_FAULT_CRASH_AT_START")]
    pub fault_crash_at_start: bool,
    /// End with status 1 after this time.
    #[arg(long, env = "BLOG_FAULT_CRASH_AFTER", value_parser = duration)]
    pub fault_crash_after: Option<Duration>,
}

/// Flags of `seed`.
#[derive(Debug, ClapArgs)]
pub struct SeedArgs {
    /// How many posts there are afterwards.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub posts: u32,
    /// Password of the example author `demo`; without it nobody can sign in as `demo`.
    #[arg(long, env = "BLOG_SEED_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
}

/// Flags of `import`.
#[derive(Debug, ClapArgs)]
pub struct ImportArgs {
    /// A folder of Markdown files with front matter, of Hexo, or of `blog export`; or the file of a WordPress export.
    pub path: PathBuf,
    /// What it is: blog, markdown, hexo or wordpress. Without it, what it looks like.
    #[arg(long, value_parser = source)]
    pub from: Option<Source>,
    /// The account of posts that name no author.
    #[arg(long)]
    pub author: Option<String>,
    /// A copy of WordPress' folder wp-content/uploads, for the pictures of a WordPress export.
    #[arg(long)]
    pub uploads: Option<PathBuf>,
}

/// Flags of `export`.
#[derive(Debug, ClapArgs)]
pub struct ExportArgs {
    /// A folder that does not exist yet.
    pub folder: PathBuf,
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account. The password is read from standard input.
    Create {
        /// The name to sign in with.
        username: String,
        /// The name that readers see.
        #[arg(long)]
        display_name: Option<String>,
        /// author, editor or admin.
        #[arg(long, default_value = "author", value_parser = role)]
        role: Role,
    },
    /// Set a password, read from standard input, and end all sessions of the account.
    Password {
        /// The name to sign in with.
        username: String,
    },
    /// List the accounts.
    List,
}

impl PicturesArgs {
    /// The place that the flags name.
    ///
    /// # Errors
    /// When a bucket has no keys.
    pub fn place(&self) -> Result<Place, PlaceError> {
        self.pictures.open(&self.s3_region, self.s3_credentials_file.as_deref())
    }
}

impl Args {
    /// Reads the command line; ends the process with help, the version, or a usage error.
    #[must_use]
    pub fn parse_or_exit() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let _ = error.print();
            std::process::exit(if error.use_stderr() { i32::from(EX_USAGE) } else { 0 });
        })
    }
}

/// A duration as `500ms`, `10s`, `1m30s` (GEP-2257: hours, minutes, seconds, milliseconds, largest first).
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it like 500ms, 10s or 1m30s");
    let (mut rest, mut total) = (text, Duration::ZERO);
    let mut units = [("h", 3_600_000_u64), ("m", 60_000), ("s", 1_000), ("ms", 1)].into_iter();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits =
            rest.find(|c: char| !c.is_ascii_digit()).filter(|at| (1..=5).contains(at)).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| at + digits);
        let (_, ms) = units.find(|(unit, _)| *unit == &rest[digits..unit_end]).ok_or_else(wrong)?;
        total += Duration::from_millis(number * ms);
        rest = &rest[unit_end..];
    }
    Ok(total)
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("`{text}` is no share; write a number from 0 to 1, like 0.3"))
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| format!("`{text}` is no role; there are author, editor and admin"))
}

fn source(text: &str) -> Result<Source, String> {
    Source::parse(text).ok_or_else(|| {
        format!("`{text}` is nothing to import from; there are blog, markdown, hexo and wordpress")
    })
}

/// The version becomes a header and a label.
fn version_label(text: &str) -> Result<String, String> {
    let ok = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
    if ok {
        Ok(text.to_owned())
    } else {
        Err("a version has 1 to 64 visible ASCII characters, like v2".to_owned())
    }
}

fn base_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or("");
    let ok = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    if ok { Ok(url.to_owned()) } else { Err(format!("`{text}` is no address like https://blog.example.org")) }
}

#[cfg(test)]
mod tests {
    use super::{Args, base_url, duration, share, version_label};
    use clap::Parser as _;
    use std::time::Duration;

    #[test]
    fn durations_are_those_of_the_gateway_api() {
        assert_eq!(duration("800ms"), Ok(Duration::from_millis(800)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "5", "s", "-1s", "1.5s", "1s1m", "1d", "999999s", "1 s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_from_nought_to_one() {
        assert_eq!(share("0.3"), Ok(0.3));
        for bad in ["-0.1", "1.1", "30%", "NaN", "inf", ""] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_becomes_a_header_or_a_link_is_checked() {
        assert!(
            version_label("v2").is_ok() && version_label("a b").is_err() && version_label("v\r\n").is_err()
        );
        assert_eq!(base_url("https://blog.example.org/").unwrap(), "https://blog.example.org");
        assert!(base_url("javascript:alert(1)").is_err());
    }

    #[test]
    fn a_wrong_flag_names_the_flag() {
        let error =
            Args::try_parse_from(["blog", "serve", "--fault-error-rate", "30%"]).unwrap_err().to_string();
        assert!(error.contains("--fault-error-rate") && error.contains("0 to 1"), "{error}");
    }
}
