//! Made-up people.

use std::fmt::Write as _;

/// The phone number of the n-th made-up Egyptian, in E.164.
///
/// # Panics
/// From ten million on.
#[must_use]
pub fn phone(n: u32) -> String {
    assert!(n < 10_000_000, "there are no more made-up numbers");
    format!("+20100{n:07}")
}

/// A CSV file of the made-up Egyptians of a range: phone, name, language, when they opted in, their points.
#[must_use]
pub fn people_csv(range: std::ops::Range<u32>) -> String {
    const NAMES: [&str; 6] = ["Mona", "Ahmed", "Layla", "Khaled", "منى", "Lucía"];
    let mut csv = String::from("phone,name,language,opted_in_at,points\n");
    for n in range {
        let name = NAMES[n as usize % NAMES.len()];
        writeln!(csv, "{},{name},en,2026-03-25,{}", phone(n), n % 500).expect("a string takes everything");
    }
    csv
}
