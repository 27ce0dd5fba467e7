use store::testing::{Database, on_both_databases};

use super::enrol::{self, Chosen};
use super::sessions::{self, Attempt, IDLE, LASTS, Origin, SignIn};
use super::{email, totp, users};
use crate::testing::{TestApp, app};
use crate::{Actor, FaultKind};

const HERE: Origin<'static> = Origin { address: "192.0.2.7", agent: "test" };
const PASSWORD: &str = "correct horse battery";

/// A user who followed their link: their second factor's secret, and their recovery codes.
async fn enrolled(app: &TestApp, address: &str) -> (String, Vec<String>) {
    let (_, link) = users::invite(app, &Actor::cli("amr"), address, "admin").await.unwrap();
    let secret = enrol::look(app, &link.token).await.unwrap().totp.secret;
    let code = totp::shown(&secret, app.clock.now_ms()).unwrap();
    let chosen = Chosen { token: &link.token, email: None, name: "Mona", password: PASSWORD, code: &code };
    let enrolled = enrol::finish(app, &chosen, HERE).await.unwrap();
    (secret, enrolled.codes)
}

async fn attempt(app: &TestApp, email: &str, password: &str, code: &str) -> SignIn {
    sessions::sign_in(app, &Attempt { email, password, code }, HERE).await.unwrap()
}

fn code(app: &TestApp, secret: &str) -> String {
    totp::shown(secret, app.clock.now_ms()).unwrap()
}

/// So that the next code is another one.
fn half_a_minute(app: &TestApp) {
    app.clock.advance(std::time::Duration::from_secs(30));
}

#[test]
fn addresses_are_known_in_lower_case_and_nonsense_is_refused() {
    assert_eq!(email("  Mona@Example.COM ").unwrap(), "mona@example.com");
    for bad in ["", "mona", "@example.com", "mona@", "a@b@c", "mo na@example.com", "mona@exa\u{7}mple.com"] {
        assert!(email(bad).is_err(), "{bad}");
    }
}

on_both_databases! {
    async fn the_first_link_makes_an_admin_once_and_then_there_is_none(db: Database) {
        let app = app(db).await;
        let old = users::first_link(&app, &Actor::system()).await.unwrap().unwrap();
        let link = users::first_link(&app, &Actor::system()).await.unwrap().unwrap();
        assert_eq!(enrol::look(&app, &old.token).await.unwrap_err().kind, FaultKind::NotFound);
        let shown = enrol::look(&app, &link.token).await.unwrap();
        assert_eq!((shown.purpose.as_str(), shown.role.as_str(), shown.email), ("first", "admin", None));
        let code = code(&app, &shown.totp.secret);
        let chosen = Chosen { token: &link.token, email: Some("Mona@Example.com"), name: "Mona", password: PASSWORD, code: &code };
        for wrong in [
            Chosen { password: "short", ..chosen_again(&chosen) },
            Chosen { email: None, ..chosen_again(&chosen) },
            Chosen { name: " ", ..chosen_again(&chosen) },
            Chosen { code: "000000x", ..chosen_again(&chosen) },
        ] {
            assert_eq!(enrol::finish(&app, &wrong, HERE).await.unwrap_err().kind, FaultKind::Invalid, "{wrong:?}");
        }
        let done = enrol::finish(&app, &chosen, HERE).await.unwrap();
        assert_eq!((done.opened.email.as_str(), done.codes.len()), ("mona@example.com", 10));
        let session = sessions::find(&app, &done.opened.token).await.unwrap().unwrap();
        assert_eq!((session.email.as_str(), session.role.as_str()), ("mona@example.com", "admin"));
        assert_eq!(enrol::finish(&app, &chosen, HERE).await.unwrap_err().kind, FaultKind::NotFound);
        assert!(users::first_link(&app, &Actor::system()).await.unwrap().is_none());
    }

    async fn who_gives_all_three_comes_in_and_each_code_opens_once(db: Database) {
        let app = app(db).await;
        let (secret, codes) = enrolled(&app, "mona@example.com").await;
        assert!(matches!(attempt(&app, "mona@example.com", PASSWORD, &code(&app, &secret)).await, SignIn::Refused(Some(_))), "it was shown while enrolling");
        half_a_minute(&app);
        let now = code(&app, &secret);
        assert!(matches!(attempt(&app, "MONA@example.com", PASSWORD, &now).await, SignIn::Opened(_)));
        assert!(matches!(attempt(&app, "mona@example.com", PASSWORD, &now).await, SignIn::Refused(Some(_))));
        assert!(matches!(attempt(&app, "mona@example.com", PASSWORD, &codes[3].to_uppercase()).await, SignIn::Opened(_)));
        assert!(matches!(attempt(&app, "mona@example.com", PASSWORD, &codes[3]).await, SignIn::Refused(Some(_))));
        half_a_minute(&app);
        assert!(matches!(attempt(&app, "mona@example.com", "another password", &code(&app, &secret)).await, SignIn::Refused(Some(_))));
        assert!(matches!(attempt(&app, "omar@example.com", PASSWORD, &code(&app, &secret)).await, SignIn::Refused(None)));
    }

    async fn a_wrong_password_uses_no_recovery_code_up(db: Database) {
        let app = app(db).await;
        let (_, codes) = enrolled(&app, "mona@example.com").await;
        assert!(matches!(attempt(&app, "mona@example.com", "a wrong password", &codes[0]).await, SignIn::Refused(_)));
        assert!(matches!(attempt(&app, "mona@example.com", PASSWORD, &codes[0]).await, SignIn::Opened(_)));
    }

    async fn whoever_keeps_failing_waits_known_or_not_and_right_or_not(db: Database) {
        let app = app(db).await;
        let (secret, _) = enrolled(&app, "mona@example.com").await;
        half_a_minute(&app);
        for address in ["mona@example.com", "nobody@example.com"] {
            for _ in 0..4 {
                assert!(matches!(attempt(&app, address, "wrong password", "000000").await, SignIn::Refused(_)));
            }
            assert!(matches!(attempt(&app, address, PASSWORD, &code(&app, &secret)).await, SignIn::Wait(2000)), "{address}");
        }
        // Somebody else's failures do not keep them out elsewhere.
        let elsewhere = Origin { address: "198.51.100.3", agent: "test" };
        let right = Attempt { email: "mona@example.com", password: PASSWORD, code: &code(&app, &secret) };
        assert!(matches!(sessions::sign_in(&app, &right, elsewhere).await.unwrap(), SignIn::Opened(_)));
        app.clock.advance(std::time::Duration::from_secs(31));
        assert!(matches!(attempt(&app, "mona@example.com", PASSWORD, &code(&app, &secret)).await, SignIn::Opened(_)));
    }

    async fn a_session_is_over_when_idle_and_when_old(db: Database) {
        let app = app(db).await;
        let (_, codes) = enrolled(&app, "mona@example.com").await;
        let open = async |code: &str| match attempt(&app, "mona@example.com", PASSWORD, code).await {
            SignIn::Opened(opened) => opened.token,
            other => panic!("{other:?}"),
        };
        let idle = open(&codes[0]).await;
        app.clock.advance(std::time::Duration::from_millis((IDLE - 1).unsigned_abs()));
        assert!(sessions::find(&app, &idle).await.unwrap().is_some());
        app.clock.advance(std::time::Duration::from_millis(IDLE.unsigned_abs()));
        assert!(sessions::find(&app, &idle).await.unwrap().is_none());
        let busy = open(&codes[1]).await;
        for _ in 0..LASTS / (IDLE / 2) - 1 {
            app.clock.advance(std::time::Duration::from_millis((IDLE / 2).unsigned_abs()));
            assert!(sessions::find(&app, &busy).await.unwrap().is_some());
        }
        app.clock.advance(std::time::Duration::from_millis((IDLE / 2).unsigned_abs()));
        assert!(sessions::find(&app, &busy).await.unwrap().is_none());
    }

    async fn a_new_password_needs_the_old_one_and_a_code_and_ends_the_other_sessions(db: Database) {
        let app = app(db).await;
        let (_, codes) = enrolled(&app, "mona@example.com").await;
        let mut open = Vec::new();
        for code in &codes[..2] {
            let SignIn::Opened(opened) = attempt(&app, "mona@example.com", PASSWORD, code).await else { panic!() };
            open.push(opened.token);
        }
        let session = sessions::find(&app, &open[0]).await.unwrap().unwrap();
        let change = async |present: &str, code: &str, new: &str| sessions::change_password(&app, &session, (present, code), new, HERE).await;
        assert!(change("wrong password", &codes[2], "quiet mornings at sea").await.is_err());
        assert!(change(PASSWORD, "000000", "quiet mornings at sea").await.is_err());
        assert!(change(PASSWORD, &codes[2], "short").await.is_err());
        change(PASSWORD, &codes[2], "quiet mornings at sea").await.unwrap();
        assert!(sessions::find(&app, &open[0]).await.unwrap().is_some());
        assert!(sessions::find(&app, &open[1]).await.unwrap().is_none());
        assert!(matches!(attempt(&app, "mona@example.com", PASSWORD, &codes[3]).await, SignIn::Refused(_)));
        assert!(matches!(attempt(&app, "mona@example.com", "quiet mornings at sea", &codes[3]).await, SignIn::Opened(_)));
        let renewed = sessions::renew_codes(&app, &session, ("quiet mornings at sea", &codes[4]), HERE).await.unwrap();
        assert!(matches!(attempt(&app, "mona@example.com", "quiet mornings at sea", &codes[5]).await, SignIn::Refused(_)));
        assert!(matches!(attempt(&app, "mona@example.com", "quiet mornings at sea", &renewed[0]).await, SignIn::Opened(_)));
    }

    async fn a_new_link_replaces_password_and_second_factor_and_ends_every_session(db: Database) {
        let app = app(db).await;
        let (_, codes) = enrolled(&app, "mona@example.com").await;
        let SignIn::Opened(opened) = attempt(&app, "mona@example.com", PASSWORD, &codes[0]).await else { panic!() };
        let user = app.store.user_of_email("mona@example.com").await.unwrap().unwrap();
        let (_, link) = users::relink(&app, &Actor::cli("amr"), user.id).await.unwrap();
        assert!(sessions::find(&app, &opened.token).await.unwrap().is_some(), "until they follow it");
        assert_eq!(enrol::enter(&app, &link.token, HERE).await.unwrap_err().kind, FaultKind::NotFound, "it signs nobody in");
        let secret = enrol::look(&app, &link.token).await.unwrap().totp.secret;
        let chosen = Chosen { token: &link.token, email: Some("eve@example.com"), name: "Mona", password: "quiet mornings at sea", code: &code(&app, &secret) };
        let done = enrol::finish(&app, &chosen, HERE).await.unwrap();
        assert_eq!(done.opened.email, "mona@example.com");
        assert!(sessions::find(&app, &opened.token).await.unwrap().is_none());
        assert!(matches!(attempt(&app, "mona@example.com", PASSWORD, &codes[1]).await, SignIn::Refused(_)));
    }

    async fn the_demos_link_signs_in_once(db: Database) {
        let app = app(db).await;
        let link = users::demo_link(&app, "demo@localhost", "admin").await.unwrap();
        let opened = enrol::enter(&app, &link.token, HERE).await.unwrap();
        assert!(sessions::find(&app, &opened.token).await.unwrap().is_some());
        assert_eq!(enrol::enter(&app, &link.token, HERE).await.unwrap_err().kind, FaultKind::NotFound);
    }
}

fn chosen_again<'a>(chosen: &Chosen<'a>) -> Chosen<'a> {
    Chosen { token: chosen.token, email: chosen.email, name: chosen.name, password: chosen.password, code: chosen.code }
}
