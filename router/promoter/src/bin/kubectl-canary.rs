//! Shows and steers gradual releases.

use std::process::ExitCode;

fn main() -> ExitCode {
    promoter::cli::main()
}
