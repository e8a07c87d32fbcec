//! The program `blog`; the library does the work.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    blog::run(blog::args::Args::parse_or_exit()).await
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_has_no_contradictions() {
        use clap::CommandFactory as _;
        blog::args::Args::command().debug_assert();
    }
}
