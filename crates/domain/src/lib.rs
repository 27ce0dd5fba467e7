//! What a campaign, contact, template, send, consent and limit *are*: parsing, rules, state machines and sums.
//!
//! Owns the meaning of things and nothing else. It must not know IO, async, a clock, a random source, or any other
//! crate of ours: time comes in as an argument, and so does everything that was read from somewhere.
//!
//! | room | what it holds |
//! |---|---|
//! | [`phone`] | phone numbers as people write them, as E.164, and as one person's canonical key |
//! | [`csv_row`] | a row of an uploaded file becomes a contact, or says why not |
//! | [`delimiter`] | which character separates the cells of a file |
//! | [`reasons`] | why a row is refused and how to mend it, in the reader's language |
//! | [`template`] | what a template asks for, what a campaign gives it, and the request that comes of it |
//! | [`payload`] | what a quick-reply button of ours carries |
//! | [`filter`] | which people of a list are meant, as a small language |
//! | [`optout`] | what people say when they want no more messages |
//! | [`send`], [`campaign`] | the two state machines |
//! | [`refusal`], [`pacing`] | why Meta refused, what follows, and how fast a number may go |
//! | [`pricing`] | what a message costs: rate cards, markets, and what Meta says of a message's price |
//! | [`window`] | who may be answered in free text, until when, and with what |
//! | [`schedule`], [`names`] | points in time, crontab lines and names that people type |

pub mod campaign;
pub mod canary;
pub mod csv_row;
pub mod delimiter;
pub mod filter;
pub mod frequency;
pub mod names;
pub mod optout;
pub mod pacing;
pub mod payload;
pub mod phone;
pub mod pricing;
pub mod reasons;
pub mod refusal;
pub mod schedule;
pub mod send;
pub mod template;
pub mod window;

/// A point in time, or a length of it: milliseconds since 1970-01-01T00:00:00Z, or milliseconds.
pub type Millis = i64;
