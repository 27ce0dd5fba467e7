//! Whatever bytes a text begins with: its encoding and its delimiter are found out, UTF-8 is taken for it, and its letters
//! are the same however the bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|beginning: &[u8]| engine::importer::survey::check_detector(beginning));
