//! How fast a business number may go, and what a refusal means for it.
//!
//! - [`Window`] is the hard cap: never more than N hand-overs in any sliding second.
//! - [`Jitter`] says how much wider than a second that window must be, so that the cap also holds where the messages
//!   arrive and not only where they leave.
//! - [`Breaker`] tells one refused message from a number in trouble.
//! - [`react`] is the table from a refusal's class to what is done about it.

mod breaker;
mod jitter;
mod reaction;
mod window;

pub use breaker::Breaker;
pub use jitter::{Jitter, LEAST_MARGIN, MOST_MARGIN};
pub use reaction::{Beyond, Reaction, Retry, react};
pub use window::{Wait, Window};

/// A point on a monotonic clock, or a length of time on it: microseconds since an arbitrary start.
pub type Micros = u64;

/// One second.
pub const SECOND: Micros = 1_000_000;
