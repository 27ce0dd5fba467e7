//! Webhooks: when each is due (`plan`), what waits (`outbox`), what it says (`compose`), and its delivery (`post`).

pub(crate) mod compose;
pub(crate) mod outbox;
pub(crate) mod plan;
pub(crate) mod post;
