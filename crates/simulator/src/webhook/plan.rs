//! The webhooks that follow one accepted message, in what order and when.

use crate::chance::{Draw, Salt};
use crate::fate::End;
use crate::settings::{Settings, Span};
use crate::webhook::outbox::{Due, Kind};

/// What the plan of one message needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) draw: Draw,
    pub(crate) end: End,
    pub(crate) skips_delivered: bool,
    pub(crate) replies: bool,
}

impl Course {
    /// The first webhook of an accepted message.
    fn first(&self) -> Kind {
        if matches!(self.end, End::Failed(_)) { Kind::Failed } else { Kind::Sent }
    }

    /// The webhook after this one.
    fn after(&self, kind: Kind) -> Option<Kind> {
        match (kind, self.end) {
            (Kind::Sent, End::Read) if self.skips_delivered => Some(Kind::Read),
            (Kind::Sent, End::Delivered | End::Read) => Some(Kind::Delivered),
            (Kind::Delivered, End::Read) => Some(Kind::Read),
            (Kind::Delivered | Kind::Read, _) if self.replies => Some(Kind::Reply),
            _ => None,
        }
    }

    fn delay_us(&self, settings: &Settings, kind: Kind) -> i64 {
        let span = match kind {
            Kind::Sent | Kind::Failed => settings.webhook.sent_ms,
            Kind::Delivered => settings.webhook.delivered_ms,
            Kind::Read => settings.webhook.read_ms,
            Kind::Reply => settings.webhook.reply_ms,
            Kind::Ready => Span::default(),
        };
        span.at_us(self.draw.about(kind as u64).unit(Salt::Delay))
    }

    /// What is due at first for a message that arrived, or was released, at this time: one webhook, which brings the
    /// next; or all at once where they come in reverse.
    pub(crate) fn begin(&self, settings: &Settings, seq: u32, from_us: i64) -> Vec<Due> {
        let first = self.first();
        let mut at_us = from_us + self.delay_us(settings, first);
        if !self.draw.within(Salt::Reversed, settings.webhook.reorder_share) {
            return vec![Due { due_us: at_us, at_us, seq, kind: first, alone: false, copy: false }];
        }
        let mut all = vec![Due { due_us: 0, at_us, seq, kind: first, alone: true, copy: false }];
        let mut last = first;
        while let Some(kind) = self.after(last) {
            at_us += self.delay_us(settings, kind);
            all.push(Due { due_us: 0, at_us, seq, kind, alone: true, copy: false });
            last = kind;
        }
        // Mirrored at the last one: it comes on time, the first comes last.
        for due in &mut all {
            due.due_us = at_us + (at_us - due.at_us);
        }
        all
    }

    /// What is due after this one.
    pub(crate) fn next(&self, settings: &Settings, due: &Due) -> Option<Due> {
        if due.alone {
            return None;
        }
        let kind = self.after(due.kind)?;
        let at_us = due.at_us + self.delay_us(settings, kind);
        Some(Due { due_us: at_us, at_us, seq: due.seq, kind, alone: false, copy: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kinds(course: &Course, settings: &Settings) -> Vec<Kind> {
        let mut waiting = course.begin(settings, 1, 0);
        let mut seen = Vec::new();
        while let Some(earliest) = waiting.iter().enumerate().min_by_key(|(_, due)| due.due_us).map(|(at, _)| at) {
            let due = waiting.swap_remove(earliest);
            waiting.extend(course.next(settings, &due));
            seen.push(due.kind);
        }
        seen
    }

    #[test]
    fn each_end_has_its_webhooks_in_order() {
        let settings = Settings::default();
        let course = |end, skips_delivered, replies| Course { draw: Draw::new(5), end, skips_delivered, replies };
        assert_eq!(kinds(&course(End::Failed(131_026), false, false), &settings), [Kind::Failed]);
        assert_eq!(kinds(&course(End::Sent, false, false), &settings), [Kind::Sent]);
        assert_eq!(
            kinds(&course(End::Read, false, true), &settings),
            [Kind::Sent, Kind::Delivered, Kind::Read, Kind::Reply]
        );
        assert_eq!(kinds(&course(End::Read, true, false), &settings), [Kind::Sent, Kind::Read]);
        assert_eq!(kinds(&course(End::Delivered, false, true), &settings), [Kind::Sent, Kind::Delivered, Kind::Reply]);
    }

    #[test]
    fn a_reordered_message_tells_its_story_backwards() {
        let settings = Settings::default().patched(&json!({"webhook": {"reorder_share": 1.0}})).expect("valid");
        let course = Course { draw: Draw::new(5), end: End::Read, skips_delivered: false, replies: true };
        assert_eq!(kinds(&course, &settings), [Kind::Reply, Kind::Read, Kind::Delivered, Kind::Sent]);
    }
}
