//! `demo`: a blog and four releases of it on this machine.

use clap::Parser;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tests::demo::{Afterwards, Options, play};

/// Shows four releases on this machine: a healthy one, a failing one, a crashing one, and one through kill -9.
#[derive(Parser)]
struct Args {
    /// Readers' port on 127.0.0.1; admin ports, the promoter's and the blog's follow it.
    #[arg(long, env = "DEMO_PORT", default_value_t = 8080)]
    port: u16,
    /// Requests per second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(20..=1000))]
    rate: u32,
    /// How many posts the blog has.
    #[arg(long, default_value_t = 200)]
    posts: u32,
    /// The folder for logs, state, database and report; what was in it is removed.
    #[arg(long, default_value = "target/demo")]
    folder: PathBuf,
    /// Leave it serving until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { port, rate, posts, folder, keep } = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let afterwards = if keep { Afterwards::Serving } else { Afterwards::Ended };
    let options = Options { port, rate, posts, folder, afterwards };
    match play(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
