use std::fmt::Write as _;

use proptest::prelude::*;

use super::SendState::*;
use super::*;

fn events() -> Vec<(&'static str, SendEvent)> {
    let status = |status| SendEvent::Status(status, Current::Yes);
    vec![
        ("claimed", SendEvent::Claimed),
        ("suppressed", SendEvent::Suppressed),
        ("cancelled", SendEvent::Cancelled),
        ("ineligible", SendEvent::Ineligible),
        ("not posted, again", SendEvent::NotPosted { back_to_planned: true }),
        ("not posted, for good", SendEvent::NotPosted { back_to_planned: false }),
        ("unknown", SendEvent::Unknown),
        ("accepted", SendEvent::Accepted),
        ("refused, later", SendEvent::Refused { later: true }),
        ("refused, never", SendEvent::Refused { later: false }),
        ("settled sent", SendEvent::SettledSent),
        ("settled not sent, replan", SendEvent::SettledNotSent { replan: true }),
        ("settled not sent", SendEvent::SettledNotSent { replan: false }),
        ("status sent", status(Status::Sent)),
        ("status delivered", status(Status::Delivered)),
        ("status read", status(Status::Read)),
        ("status failed, later", status(Status::Failed { later: true })),
        ("status failed, never", status(Status::Failed { later: false })),
        ("status of an earlier attempt", SendEvent::Status(Status::Read, Current::No)),
    ]
}

fn step(state: SendState, event: SendEvent) -> SendState {
    match state.next(&event) {
        Ok(Step::To(to)) => to,
        Ok(Step::Stay) | Err(_) => state,
    }
}

#[test]
fn the_table_of_a_sends_life_is_the_one_that_was_agreed() {
    let mut table = String::new();
    for from in SendState::ALL {
        let _ = writeln!(table, "{from}");
        let mut illegal = Vec::new();
        for (name, event) in events() {
            match from.next(&event) {
                Ok(Step::To(to)) => _ = writeln!(table, "  {name:<28} -> {to}"),
                Ok(Step::Stay) => _ = writeln!(table, "  {name:<28} stays"),
                Err(_) => illegal.push(name),
            }
        }
        let _ = writeln!(table, "  illegal: {}", illegal.join(" | "));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_send_in_doubt_is_never_claimed_again() {
    assert!(InDoubt.next(&SendEvent::Claimed).is_err());
    assert!(Submitting.next(&SendEvent::Claimed).is_err());
    assert!(Accepted.next(&SendEvent::Claimed).is_err());
}

#[test]
fn an_answer_that_comes_after_its_webhook_changes_nothing() {
    for state in [Sent, Delivered, Read, Failed] {
        assert_eq!(state.next(&SendEvent::Accepted), Ok(Step::Stay), "{state}");
    }
    assert!(Skipped.next(&SendEvent::Accepted).is_err(), "a skipped send was never posted");
}

#[test]
fn a_lost_answer_puts_nothing_in_doubt_that_a_webhook_has_told() {
    for told in [Sent, Delivered, Read, Failed] {
        assert_eq!(told.next(&SendEvent::Unknown), Ok(Step::Stay));
    }
    assert!(Accepted.next(&SendEvent::Unknown).is_err(), "its own answer was there");
}

#[test]
fn a_status_of_an_earlier_attempt_changes_nothing_anywhere() {
    for state in SendState::ALL {
        for status in [Status::Sent, Status::Delivered, Status::Read, Status::Failed { later: true }] {
            assert_eq!(state.next(&SendEvent::Status(status, Current::No)), Ok(Step::Stay));
        }
    }
}

#[test]
fn a_passing_failure_is_planned_again_only_before_delivery() {
    let failed = SendEvent::Status(Status::Failed { later: true }, Current::Yes);
    for state in [Submitting, InDoubt, Accepted, Sent] {
        assert_eq!(state.next(&failed), Ok(Step::To(Planned)), "{state}");
    }
    assert_eq!(Planned.next(&failed), Ok(Step::Stay), "the webhook came twice");
    assert_eq!(Delivered.next(&failed), Ok(Step::Stay));
    assert_eq!(Read.next(&failed), Ok(Step::Stay));
}

#[test]
fn a_message_that_went_out_after_all_is_not_kept_as_settled_unsent() {
    let status = |status| SendEvent::Status(status, Current::Yes);
    for (event, to) in [
        (SendEvent::Accepted, Accepted),
        (status(Status::Sent), Sent),
        (status(Status::Delivered), Delivered),
        (status(Status::Read), Read),
    ] {
        assert_eq!(Failed.next_if_settled(&event), Ok(Step::To(to)), "{event:?}");
        assert_eq!(Accepted.next_if_settled(&event), Ok(Step::To(to)), "{event:?}");
    }
    let earlier = SendEvent::Status(Status::Read, Current::No);
    assert_eq!(Failed.next_if_settled(&earlier), Ok(Step::Stay));
}

#[test]
fn what_a_person_settled_as_unsent_is_never_planned_or_claimed_again_by_itself() {
    for (name, event) in events() {
        let step = Failed.next_if_settled(&event);
        assert!(!matches!(step, Ok(Step::To(Planned | Submitting | InDoubt | Skipped))), "{name}: {step:?}");
    }
    assert_eq!(Accepted.next_if_settled(&SendEvent::Refused { later: true }), Ok(Step::To(Failed)));
    assert_eq!(Accepted.next_if_settled(&SendEvent::NotPosted { back_to_planned: true }), Ok(Step::To(Failed)));
    assert!(Accepted.next_if_settled(&SendEvent::SettledNotSent { replan: true }).is_err(), "one person's word stands");
}

#[test]
fn every_state_comes_back_from_its_number_and_no_other_number_does() {
    for state in SendState::ALL {
        assert_eq!(SendState::try_from(i16::from(state)), Ok(state));
    }
    for number in [-1, 9, i16::MIN, i16::MAX] {
        assert_eq!(SendState::try_from(number), Err(UnknownSendState(number)));
    }
}

#[test]
fn only_planned_submitting_and_in_doubt_are_open() {
    let open: Vec<_> = SendState::ALL.into_iter().filter(|state| state.is_open()).collect();
    assert_eq!(open, [Planned, Submitting, InDoubt]);
}

/// A multiset of statuses that holds each of them one to three times, shuffled.
fn shuffled_statuses() -> impl Strategy<Value = Vec<Status>> {
    let each = [Status::Sent, Status::Delivered, Status::Read, Status::Failed { later: false }];
    proptest::collection::vec(1..=3usize, 4)
        .prop_map(move |counts| each.iter().zip(counts).flat_map(|(s, n)| vec![*s; n]).collect::<Vec<_>>())
        .prop_shuffle()
}

/// Some of the statuses, any number of times, in two orders.
fn the_same_statuses_twice() -> impl Strategy<Value = (Vec<Status>, Vec<Status>)> {
    let one = prop_oneof![
        Just(Status::Sent),
        Just(Status::Delivered),
        Just(Status::Read),
        Just(Status::Failed { later: false }),
    ];
    proptest::collection::vec(one, 0..8).prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle()))
}

fn apply(from: SendState, statuses: &[Status]) -> SendState {
    statuses.iter().fold(from, |state, status| step(state, SendEvent::Status(*status, Current::Yes)))
}

proptest! {
    #[test]
    fn all_orders_of_all_statuses_end_in_read(statuses in shuffled_statuses()) {
        for from in [Submitting, InDoubt, Accepted] {
            prop_assert_eq!(apply(from, &statuses), Read);
        }
    }

    #[test]
    fn any_statuses_end_alike_in_whatever_order_they_come((one, other) in the_same_statuses_twice()) {
        for from in SendState::ALL {
            prop_assert_eq!(apply(from, &one), apply(from, &other));
        }
    }

    #[test]
    fn a_persons_word_leaves_no_trace_once_meta_has_spoken((one, other) in the_same_statuses_twice()) {
        // As the store does: the first word of Meta's is reckoned with the person's, the others by themselves.
        let after = |settled: SendState, statuses: &[Status]| {
            let Some((first, rest)) = statuses.split_first() else { return settled };
            let event = SendEvent::Status(*first, Current::Yes);
            let Ok(Step::To(first)) = settled.next_if_settled(&event) else { panic!("{settled} stays") };
            apply(first, rest)
        };
        for settled in [Accepted, Failed] {
            prop_assert_eq!(after(settled, &one), after(settled, &other));
            if !one.is_empty() {
                prop_assert_eq!(after(settled, &one), apply(InDoubt, &one));
            }
        }
    }

    #[test]
    fn the_answer_may_come_anywhere_among_the_statuses(
        statuses in shuffled_statuses(), place in any::<prop::sample::Index>(),
    ) {
        let place = place.index(statuses.len() + 1);
        let state = apply(Submitting, &statuses[..place]);
        let state = step(state, SendEvent::Accepted);
        prop_assert_eq!(apply(state, &statuses[place..]), Read);
    }

    #[test]
    fn a_claim_is_made_only_from_planned(path in proptest::collection::vec(0..19usize, 0..40)) {
        let events = events();
        let mut state = Planned;
        for index in path {
            let after = step(state, events[index].1);
            if after == Submitting && state != Submitting {
                prop_assert_eq!(state, Planned);
            }
            state = after;
        }
    }
}
