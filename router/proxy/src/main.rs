//! The program `router`: flags, log, run, drain.

use clap::Parser;
use proxy::{args::Args, lifecycle, log, run::Router};
use std::{process::ExitCode, time::Duration};
use tokio::runtime;

/// EX_USAGE and EX_UNAVAILABLE of sysexits.h.
const USAGE: u8 = 64;
const UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Printing help or a usage error to a closed pipe is no reason to fail otherwise.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    if let Err(error) = log::start(&args.log, args.log_format) {
        return fail(USAGE, &format!("--log: {error}"));
    }
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(UNAVAILABLE, &format!("no runtime: {error}")),
    };
    let code = runtime.block_on(run(args));
    // Connections that outlived the drain deadline are cut with the process.
    runtime.shutdown_timeout(Duration::ZERO);
    code
}

async fn run(args: Args) -> ExitCode {
    let router = match Router::start(args).await {
        Ok(router) => router,
        Err(error) => {
            let code = if error.is_usage() { USAGE } else { UNAVAILABLE };
            return fail(code, &error.to_string());
        }
    };
    if let Err(error) = lifecycle::interrupted().await {
        return fail(UNAVAILABLE, &format!("no signals: {error}"));
    }
    tokio::select! {
        () = router.drain() => ExitCode::SUCCESS,
        // A second signal means now.
        _ = lifecycle::interrupted() => ExitCode::FAILURE,
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    use std::io::Write;
    // There is nowhere else to report to when standard error is closed.
    let _ = writeln!(std::io::stderr(), "router: {message}");
    ExitCode::from(code)
}
