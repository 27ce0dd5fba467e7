//! The executable.

use std::process::ExitCode;

/// For SQLite's allocations as well as our own: both make very many small ones, from several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Small pages for all of this process's memory: huge ones, which the allocator asks for, stay whole for a second after
    // most of what was in them is freed, and doubled the peak of an import. Where the kernel has none, nothing is lost.
    let _ = nix::sys::prctl::set_thp_disable(true);
    // Before whatever else, and without threads: this process is about to become another program.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == hudhud::redis_child::WITH_PARENT) {
        let rest: Vec<_> = arguments.collect();
        let Err(error) = hudhud::redis_child::run_with_parent(&rest);
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    hudhud::cli::run()
}
