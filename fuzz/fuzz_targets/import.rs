//! Whatever bytes are uploaded: the reading half of an import comes to an end, its counts add up, and every reject has
//! its line, code and reason.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| engine::importer::survey::check(file.to_vec()));
