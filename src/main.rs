//! The `hookwright` binary: the library's command line.

use std::process::ExitCode;

/// A message is a few dozen small allocations on two threads, which this allocator takes more
/// lightly than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hookwright::cli::run()
}
