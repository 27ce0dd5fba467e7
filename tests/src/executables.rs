//! Where the built executables are. They are not built from here: what is tested is what was built for users.

use std::path::PathBuf;
use std::process::Command;

/// One of the built executables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executable {
    /// `hudhud`.
    Hudhud,
    /// `simulator`.
    Simulator,
}

/// Finds an executable: where `HUDHUD_BIN` or `SIMULATOR_BIN` says, else the newer of the release and the debug build
/// beside this test's own. What was itself compiled with optimisation, as benchmarks are, takes the release build alone:
/// a figure of a debug build is none.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn executable(which: Executable) -> PathBuf {
    let (name, variable) = match which {
        Executable::Hudhud => ("hudhud", "HUDHUD_BIN"),
        Executable::Simulator => ("simulator", "SIMULATOR_BIN"),
    };
    if let Some(named) = std::env::var_os(variable).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{variable} names {}, which is no file", named.display());
        // Processes are started in directories of their own.
        return std::path::absolute(named).expect("a path from here");
    }
    let own = std::env::current_exe().expect("a process knows its executable");
    // target/PROFILE/deps/stories-HASH
    let target = own.ancestors().nth(3).expect("a test lies three directories deep in the target directory");
    let profiles: &[&str] = if cfg!(debug_assertions) { &["release", "debug"] } else { &["release"] };
    let newest = profiles
        .iter()
        .map(|profile| target.join(profile).join(name))
        .filter_map(|path| Some((std::fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max_by_key(|(modified, _)| *modified);
    match newest {
        Some((_, path)) => path,
        None => panic!("{name} is not built: cargo build -p {name}, or name it with {variable}"),
    }
}

/// The command of a long-lived child, which the kernel ends should this process die without ending it.
pub(crate) fn tethered(program: &std::path::Path) -> Command {
    // setpriv is part of util-linux, which every Linux has; elsewhere the child is only ended in order.
    let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].map(PathBuf::from).into_iter().find(|path| path.exists());
    match setpriv {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}
