//! The `hookwright` binary: the library's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    hookwright::cli::run()
}
