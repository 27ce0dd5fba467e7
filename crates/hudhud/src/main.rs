//! The executable.

use std::process::ExitCode;

/// For SQLite's allocations as well as our own: both make very many small ones, from several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything else, and without threads: this process is about to become another program.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == hudhud::redis_child::WITH_PARENT) {
        let rest: Vec<_> = arguments.collect();
        let Err(error) = hudhud::redis_child::run_with_parent(&rest);
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    hudhud::cli::run()
}
