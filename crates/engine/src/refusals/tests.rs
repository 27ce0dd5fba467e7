use std::collections::HashSet;

use cloud_api::{Channel, kind_of};
use domain::pacing::{Beyond, Circumstances, Retry, react};

use super::*;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;

/// What becomes of the message: its pauses, refusal by refusal, and whether it fails after them.
#[derive(Clone, Copy, Debug)]
enum Message {
    Fails,
    FailsAfter(&'static [Millis]),
    /// Begins like this and never fails.
    Waits(&'static [Millis]),
}

use Message::{Fails, FailsAfter, Waits};

struct Line {
    codes: &'static [i64],
    message: Message,
    beyond: Beyond,
    /// A part of what a person is told; empty: nobody is told anything.
    told: &'static str,
}

const fn line(codes: &'static [i64], message: Message, beyond: Beyond, told: &'static str) -> Line {
    Line { codes, message, beyond, told }
}

const LIFTED: Message = Waits(&[SECOND, SECOND, SECOND]);
const FASTER: Message = Waits(&[SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]);
const TWO_DAYS: Message = FailsAfter(&[24 * HOUR, 48 * HOUR]);
const PAIR: Message = FailsAfter(&[4 * SECOND, 16 * SECOND, 64 * SECOND, 256 * SECOND]);
const OUTAGE: Message = Waits(&[5 * SECOND, 10 * SECOND, 20 * SECOND]);
const MENDED: Message = FailsAfter(&[0, 0]);
const TEMPLATE: Message = FailsAfter(&[10 * MINUTE; 4]);

/// Meta's error table, code by code: what each does.
#[rustfmt::skip]
const TABLE: &[Line] = &[
    line(&[0, 190], LIFTED, Beyond::PauseAccount, "account rotate"),
    line(&[3, 10, 104, 131_005], LIFTED, Beyond::PauseAccount, "permission"),
    line(&[1], FailsAfter(&[2 * SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND]), Beyond::CountAgainstNumber, "Check the template"),
    line(&[131_053, 131_014], FailsAfter(&[2 * SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND]), Beyond::CountAgainstNumber, "media"),
    line(&[2, 131_016, 133_004], OUTAGE, Beyond::CountAgainstNumber, ""),
    line(&[131_057, 2_494_100], Waits(&[MINUTE, MINUTE, MINUTE, MINUTE, 80 * SECOND]), Beyond::CountAgainstNumber, ""),
    line(&[131_000], FailsAfter(&[2 * SECOND, 4 * SECOND, 8 * SECOND]), Beyond::CountAgainstNumber, ""),
    line(&[132_069], FailsAfter(&[HOUR, HOUR, HOUR]), Beyond::CountAgainstNumber, ""),
    line(&[4, 17, 613, 80_001, 80_007, 80_008, 130_429], FASTER, Beyond::SlowNumber, ""),
    line(&[33, 803, 133_000, 133_005, 133_006, 133_007, 133_008, 133_009, 133_010, 133_015, 133_016], LIFTED, Beyond::PauseNumber, "number resume"),
    line(&[131_045], LIFTED, Beyond::PauseNumber, "Register"),
    line(&[131_037], LIFTED, Beyond::PauseNumber, "display name"),
    line(&[131_048], LIFTED, Beyond::PauseNumber, "quality"),
    line(&[368], LIFTED, Beyond::PauseAccount, "restricts the account"),
    line(&[131_031], LIFTED, Beyond::PauseAccount, "locked"),
    line(&[131_042], LIFTED, Beyond::PauseAccount, "payment method"),
    line(&[131_064], LIFTED, Beyond::PauseAccount, "category"),
    line(&[134_011], LIFTED, Beyond::PauseAccount, "terms"),
    line(&[498, 131_050], Fails, Beyond::SuppressPerson, ""),
    line(&[130_403, 130_472, 130_497, 131_021, 131_026, 131_047, 131_062, 137_000], Fails, Beyond::Nothing, ""),
    line(&[132_005, 132_008], Fails, Beyond::Nothing, ""),
    line(&[131_008, 131_009], Fails, Beyond::CountAgainstCampaign, "columns"),
    line(&[131_049], TWO_DAYS, Beyond::Nothing, ""),
    line(&[131_056], PAIR, Beyond::Nothing, ""),
    line(&[
        100, 131_030, 131_051, 131_055, 131_058, 131_063, 132_000, 132_012, 132_018, 134_100, 134_102, 135_000,
    ], MENDED, Beyond::PauseCampaign, "request as it is built"),
    line(&[132_001, 132_007, 132_016, 132_068], MENDED, Beyond::PauseCampaign, "template"),
    line(&[132_015], TEMPLATE, Beyond::PauseForTemplate, "goes on by itself"),
    line(&[134_101], TEMPLATE, Beyond::PauseForTemplate, "ten minutes"),
    // Calling, groups, inbound media, template administration, and what Meta adds tomorrow.
    line(&[131_044, 131_052, 131_059, 131_060, 131_201, 138_000, 139_000, 147_000, 2_388_299, 999_999], Fails,
        Beyond::CountAgainstCampaign, "five messages in a row"),
];

/// Every code of the table, with the permissions that come as a range, and what is expected of it.
fn lines() -> impl Iterator<Item = (i64, Message, Beyond, &'static str)> {
    let listed =
        TABLE.iter().flat_map(|line| line.codes.iter().map(|code| (*code, line.message, line.beyond, line.told)));
    listed.chain((200..=299).map(|code| (code, LIFTED, Beyond::PauseAccount, "permission")))
}

fn reacts(code: i64, channel: Channel, tries: u32) -> domain::pacing::Reaction {
    let circumstances = Circumstances { asked: least_pause(code), ..Circumstances::tried(tries) };
    react(class_of(kind_of(code, None, channel)), &circumstances)
}

fn check(code: i64, channel: Channel, message: Message, beyond: Beyond) {
    let pauses: Vec<Millis> = (1..20)
        .map_while(|tries| match reacts(code, channel, tries).message {
            Retry::After(pause) => Some(pause),
            Retry::Never => None,
        })
        .collect();
    match message {
        Fails => assert_eq!(pauses, [] as [Millis; 0], "{code}"),
        FailsAfter(expected) => assert_eq!(pauses, expected, "{code}"),
        Waits(expected) => {
            assert_eq!(pauses.len(), 19, "{code} never fails");
            assert_eq!(&pauses[..expected.len()], expected, "{code}");
        }
    }
    assert_eq!(reacts(code, channel, 1).beyond, beyond, "{code}");
}

#[test]
fn every_code_of_metas_table_does_what_the_reference_says() {
    for (code, message, beyond, _) in lines() {
        check(code, Channel::Sync, message, beyond);
        if code != 135_000 {
            check(code, Channel::Webhook, message, beyond);
        }
    }
}

#[test]
fn dropped_by_portfolio_pacing_stops_the_portfolio_and_only_a_webhook_says_so() {
    check(135_000, Channel::Webhook, LIFTED, Beyond::PausePortfolio);
    assert!(advice(RefusalClass::Portfolio, 135_000).contains("portfolio"));
}

#[test]
fn no_code_that_is_known_is_missing_from_this_table() {
    let listed: HashSet<i64> = lines().map(|(code, ..)| code).collect();
    for range in [-10..10_000, 80_000..81_000, 130_000..140_000, 2_494_000..2_495_000] {
        for code in range {
            let kind = kind_of(code, None, Channel::Sync);
            assert!(kind == RefusalKind::Unknown || listed.contains(&code), "{code} is {kind:?} and not listed here");
        }
    }
}

#[test]
fn every_stop_says_what_a_person_must_do_and_names_the_code() {
    for (code, _, _, told) in lines() {
        let words = advice(class_of(kind_of(code, None, Channel::Sync)), code);
        assert!(words.contains(told), "{code}: {words}");
        assert!(words.contains(&format!("code {code}")), "{words}");
        assert_eq!(told.is_empty(), words.starts_with("Meta refuses to take more for now"), "{code}: {words}");
    }
}

#[test]
fn only_a_campaign_that_waits_for_its_template_says_so() {
    for class in RefusalClass::ALL {
        assert_eq!(advice(class, 1).starts_with(AWAITS_TEMPLATE), class == RefusalClass::TemplatePaused, "{class}");
    }
}
