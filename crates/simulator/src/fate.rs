//! What becomes of a message: decided by (seed, recipient, template) alone, so that a test can ask beforehand.

use crate::chance::{Draw, Salt, mix};
use crate::identity::region;
use crate::settings::{CodeShare, Settings};
use crate::world::KnownTemplate;
use serde::Serialize;

/// What becomes of a message to one recipient with one template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// The code the send is refused with, for as many times as the setting says.
    pub refused_with: Option<u32>,
    /// What goes wrong with the request itself.
    pub fault: Option<Fault>,
    /// Whether it is accepted as held, and waits for a release.
    pub held: bool,
    /// The last status it gets once accepted.
    pub end: End,
    /// Whether `delivered` is left out before `read`.
    pub skips_delivered: bool,
    /// What the person does then.
    pub reply: Option<Reply>,
    /// Whether webhooks name this person by user id only.
    pub hides_number: bool,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Taken in, connection closed without an answer.
    LostResponse,
    /// Taken in, answer breaks off.
    TruncatedResponse,
    /// Taken in, never answered.
    Unanswered,
    /// Thrown away, connection closed.
    DroppedRequest,
    /// Not taken in, answered with a 307.
    Redirect,
    /// Not taken in, answered with a 502 in HTML.
    BadGateway,
}

impl Fault {
    const ALL: [Fault; 6] = [
        Fault::LostResponse,
        Fault::TruncatedResponse,
        Fault::Unanswered,
        Fault::DroppedRequest,
        Fault::Redirect,
        Fault::BadGateway,
    ];

    /// Whether the message goes out although the caller cannot know.
    #[must_use]
    pub const fn takes_in(self) -> bool {
        matches!(self, Fault::LostResponse | Fault::TruncatedResponse | Fault::Unanswered)
    }
}

/// The last status of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Failed by webhook with a code.
    Failed(u32),
    /// Sent, never delivered.
    Sent,
    /// Delivered, never read.
    Delivered,
    /// Read.
    Read,
}

/// What a person does with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Taps the opt-out button at this position.
    OptOutTap(usize),
    /// Taps another quick reply at this position.
    OtherTap(usize),
    /// Writes this stop word.
    StopText(String),
    /// Uses WhatsApp's own "stop marketing".
    NativeStop,
}

impl Reply {
    /// Whether it is an opt-out.
    #[must_use]
    pub const fn is_opt_out(&self) -> bool {
        !matches!(self, Reply::OtherTap(_))
    }
}

/// The draw for a recipient (by `wa_id`) and a template.
pub(crate) fn draw(seed: u64, wa_id: u64, template: &KnownTemplate) -> Draw {
    Draw::new(mix(wa_id ^ mix(seed)) ^ template.hash)
}

/// Whether a person hides the number; the same for all templates.
pub(crate) fn hides_number(settings: &Settings, wa_id: u64) -> bool {
    let share = settings.people.username_share;
    share > 0.0 && Draw::new(mix(wa_id ^ mix(settings.seed))).within(Salt::HidesNumber, share)
}

/// Which entry of `errors` a pair meets.
pub(crate) fn error<'a>(settings: &'a Settings, draw: Draw, phone_number_id: &str) -> Option<(usize, &'a CodeShare)> {
    meets(&settings.errors, draw, Salt::Error, phone_number_id)
}

/// Which entry of `people.failed` a pair meets.
pub(crate) fn failure<'a>(settings: &'a Settings, draw: Draw, phone_number_id: &str) -> Option<(usize, &'a CodeShare)> {
    meets(&settings.people.failed, draw, Salt::Failed, phone_number_id)
}

fn meets<'a>(shares: &'a [CodeShare], draw: Draw, salt: Salt, phone_number_id: &str) -> Option<(usize, &'a CodeShare)> {
    if shares.is_empty() {
        return None;
    }
    let at = draw.pick(salt, shares.iter().map(|s| s.share))?;
    let entry = &shares[at];
    entry.phone_number_id.as_deref().is_none_or(|only| only == phone_number_id).then_some((at, entry))
}

/// What goes wrong with a pair's request.
pub(crate) fn fault(settings: &Settings, draw: Draw) -> Option<Fault> {
    let f = &settings.faults;
    let shares = [
        f.lost_response_share,
        f.truncated_response_share,
        f.unanswered_share,
        f.dropped_request_share,
        f.redirect_share,
        f.bad_gateway_share,
    ];
    draw.pick(Salt::Fault, shares).map(|at| Fault::ALL[at])
}

/// The last status of a message that does not fail.
pub(crate) fn good_end(settings: &Settings, draw: Draw) -> End {
    if !draw.within(Salt::Delivered, settings.people.delivered_share) {
        End::Sent
    } else if draw.within(Salt::Read, settings.people.read_share) {
        End::Read
    } else {
        End::Delivered
    }
}

/// Whether `delivered` is left out before `read`.
pub(crate) fn skips_delivered(settings: &Settings, draw: Draw, end: End) -> bool {
    end == End::Read && draw.within(Salt::ReadAlone, settings.people.read_without_delivered_share)
}

/// What the person does with a message that got through; `None` also where the template has no such button.
pub(crate) fn reply(settings: &Settings, draw: Draw, wa_id: u64, template: &KnownTemplate, end: End) -> Option<Reply> {
    if !matches!(end, End::Delivered | End::Read) {
        return None;
    }
    let p = &settings.people;
    match draw.pick(Salt::Reply, [p.opt_out_tap_share, p.other_tap_share, p.stop_text_share, p.native_stop_share])? {
        0 => template.opt_out_button.map(Reply::OptOutTap),
        1 => {
            let others = || template.shape.quick_replies().filter(|(at, _)| Some(*at) != template.opt_out_button);
            let chosen = draw.index(Salt::OtherButton, others().count());
            others().nth(chosen).map(|(at, _)| Reply::OtherTap(at))
        }
        2 => Some(Reply::StopText(stop_text(settings, draw, wa_id))),
        _ => Some(Reply::NativeStop),
    }
}

/// A stop word in the person's language.
pub(crate) fn stop_text(settings: &Settings, draw: Draw, wa_id: u64) -> String {
    let language = match region(wa_id) {
        "EG" | "SA" | "AE" | "JO" | "LB" | "KW" | "QA" | "BH" | "OM" | "IQ" | "SY" | "YE" | "PS" | "MA" | "DZ"
        | "TN" | "LY" => "ar",
        "MX" | "ES" | "AR" | "CO" | "PE" => "es",
        "BR" | "PT" => "pt",
        _ => "en",
    };
    let texts = &settings.people.stop_texts;
    let words = texts.get(language).or_else(|| texts.get("en")).map_or(&[][..], Vec::as_slice);
    words.get(draw.index(Salt::StopText, words.len())).cloned().unwrap_or_else(|| "STOP".into())
}

/// Everything at once, for a recipient's first message with this template.
pub(crate) fn whole(settings: &Settings, wa_id: u64, template: &KnownTemplate, phone_number_id: &str) -> Fate {
    let draw = draw(settings.seed, wa_id, template);
    let end = match failure(settings, draw, phone_number_id) {
        Some((_, entry)) => End::Failed(entry.code),
        None => good_end(settings, draw),
    };
    Fate {
        refused_with: error(settings, draw, phone_number_id).map(|(_, entry)| entry.code),
        fault: fault(settings, draw),
        held: draw.within(Salt::Held, settings.held_share),
        end,
        skips_delivered: skips_delivered(settings, draw, end),
        reply: reply(settings, draw, wa_id, template, end),
        hides_number: hides_number(settings, wa_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use serde_json::json;

    fn world(patch: serde_json::Value) -> World {
        World::new(Settings::default().patched(&patch).expect("a valid patch")).expect("valid settings")
    }

    fn fates(world: &World) -> Vec<Fate> {
        let template = world.template(0, "eid_offer", "en").expect("built in");
        (0..10_000).map(|i| whole(&world.settings, 201_000_000_000 + i, template, "200100000000001")).collect()
    }

    #[test]
    fn fate_depends_on_seed_recipient_and_template_only() {
        let patch = json!({"people": {"opt_out_tap_share": 0.1, "stop_text_share": 0.1}, "faults": {"lost_response_share": 0.1}});
        let one = fates(&world(patch.clone()));
        assert_eq!(one, fates(&world(patch.clone())));
        let mut other_seed = patch;
        other_seed["seed"] = json!(2);
        assert_ne!(one, fates(&world(other_seed)));
    }

    #[test]
    fn shares_are_met_and_taps_hit_the_right_buttons() {
        let all = fates(&world(json!({"people": {
            "failed": [{"code": 131_026, "share": 0.2}], "read_share": 0.5,
            "opt_out_tap_share": 0.1, "other_tap_share": 0.2, "username_share": 0.25}})));
        let count = |wanted: &dyn Fn(&Fate) -> bool| all.iter().filter(|f| wanted(f)).count();
        assert!((1_800..2_200).contains(&count(&|f| f.end == End::Failed(131_026))));
        assert!((3_700..4_300).contains(&count(&|f| f.end == End::Read)));
        assert!((650..950).contains(&count(&|f| f.reply == Some(Reply::OptOutTap(1)))));
        assert!((1_400..1_800).contains(&count(&|f| f.reply == Some(Reply::OtherTap(0)))));
        assert!((2_300..2_700).contains(&count(&|f| f.hides_number)));
        assert_eq!(count(&|f| matches!(f.end, End::Failed(_)) && f.reply.is_some()), 0);
    }

    #[test]
    fn a_stop_word_is_in_the_persons_language() {
        let world = world(json!({}));
        let text = |wa_id| stop_text(&world.settings, Draw::new(1), wa_id);
        assert!(world.settings.people.stop_texts["ar"].contains(&text(201_000_000_001)));
        assert!(world.settings.people.stop_texts["es"].contains(&text(5_215_500_000_001)));
        assert!(world.settings.people.stop_texts["en"].contains(&text(12_025_550_101)));
    }

    #[test]
    fn an_error_for_one_business_number_spares_the_others() {
        let world = world(json!({"errors": [{"code": 131_031, "share": 1.0, "phone_number_id": "200100000000001"}]}));
        let template = world.template(0, "eid_offer", "en").expect("built in");
        let refused = |number| whole(&world.settings, 201_000_000_001, template, number).refused_with;
        assert_eq!(refused("200100000000001"), Some(131_031));
        assert_eq!(refused("200100000000002"), None);
    }
}
