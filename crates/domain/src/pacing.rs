//! How fast a business number may go, and what a refusal means for it.
//!
//! - [`Window`] is the hard cap: never more than N arrivals in any sliding second.
//! - [`Jitter`] tells by a message's answer how late it may have arrived, so that the cap holds where messages arrive and
//!   not only where they leave.
//! - [`Breaker`] tells one refused message from a number in trouble.
//! - [`Spread`] is an even pace over a length of time, slower than any rate.
//! - [`Gaps`] are gaps between turns that look human, with the mean and the cap kept.
//! - [`react`] is the table from a refusal's class to what is done about it.

mod breaker;
mod gaps;
mod jitter;
mod reaction;
mod spread;
mod window;

pub use breaker::Breaker;
pub use gaps::{Cap, Gaps};
pub use jitter::{BUDGET, Jitter};
pub use reaction::{Beyond, Circumstances, Reaction, Retry, react};
pub use spread::{Spread, gap};
pub use window::{UNANSWERED, Wait, Window};

/// A point on a monotonic clock, or a length of time on it: microseconds since an arbitrary start.
pub type Micros = u64;

/// One second.
pub const SECOND: Micros = 1_000_000;
