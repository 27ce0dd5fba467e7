use super::*;
use crate::Error;
use crate::sessions::Alive;
use crate::testing::{Database, on_both_databases};

fn link(hash: u8, user_id: Option<i64>) -> OneTimeLink {
    OneTimeLink {
        hash: vec![hash; 32],
        purpose: if user_id.is_some() { "welcome" } else { "first" }.to_owned(),
        user_id,
        totp: vec![9, 9],
        created_by: "cli:amr".to_owned(),
        created_at: 10,
        expires_at: 1_000,
    }
}

const MONA: Enrolment<'static> =
    Enrolment { name: "Mona", password: "$argon2id$1", totp_step: 5, recovery: &[[1; 32], [2; 32]], now: 20 };

async fn admin(db: &Database, email: &str, hash: u8) -> i64 {
    let id = db.store.add_user(email, "admin", "cli:amr", 1).await.unwrap();
    let link = link(hash, Some(id));
    db.store.put_link(&link).await.unwrap();
    assert!(db.store.enrol(&link, id, &MONA).await.unwrap());
    id
}

on_both_databases! {
    async fn a_user_is_invited_follows_their_link_once_and_has_what_they_chose(db: Database) {
        let id = db.store.add_user("mona@example.com", "launcher", "cli:amr", 1).await.unwrap();
        let again = db.store.add_user("mona@example.com", "viewer", "cli:amr", 1).await;
        assert!(matches!(again, Err(Error::Conflict(_))));
        assert!(!db.store.has_users().await.unwrap());
        db.store.put_link(&link(1, Some(id))).await.unwrap();
        let found = db.store.link(&[1; 32], 20).await.unwrap().unwrap();
        assert_eq!(found, link(1, Some(id)));
        assert!(db.store.enrol(&found, id, &MONA).await.unwrap());
        assert!(!db.store.enrol(&found, id, &Enrolment { name: "Eve", ..MONA }).await.unwrap(), "a link opens once");
        let user = db.store.user_of_email("mona@example.com").await.unwrap().unwrap();
        assert_eq!((user.name.as_str(), user.has_password), ("Mona", true));
        let proofs = db.store.proofs("mona@example.com").await.unwrap().unwrap();
        assert_eq!((proofs.password.as_deref(), proofs.totp), (Some("$argon2id$1"), Some(vec![9, 9])));
        assert!(db.store.has_users().await.unwrap());
    }

    async fn a_link_is_replaced_by_the_next_one_and_expires(db: Database) {
        let id = db.store.add_user("mona@example.com", "viewer", "cli:amr", 1).await.unwrap();
        db.store.put_link(&link(1, Some(id))).await.unwrap();
        db.store.put_link(&link(2, Some(id))).await.unwrap();
        db.store.put_link(&link(3, None)).await.unwrap();
        db.store.put_link(&link(4, None)).await.unwrap();
        for (hash, opens) in [(1, false), (2, true), (3, false), (4, true)] {
            assert_eq!(db.store.link(&[hash; 32], 20).await.unwrap().is_some(), opens, "{hash}");
        }
        assert!(db.store.link(&[2; 32], 1_000).await.unwrap().is_none());
        assert!(!db.store.use_link(&[2; 32], 1_000).await.unwrap());
        assert!(db.store.use_link(&[2; 32], 999).await.unwrap() && !db.store.use_link(&[2; 32], 999).await.unwrap());
    }

    async fn of_many_who_follow_the_first_link_one_becomes_the_first_user(db: Database) {
        db.store.put_link(&link(1, None)).await.unwrap();
        let found = link(1, None);
        let names: Vec<String> = (0..8).map(|n| format!("admin{n}@example.com")).collect();
        let all = futures::future::join_all(names.iter().map(|name| db.store.enrol_first(&found, name, &MONA))).await;
        assert_eq!(all.into_iter().filter(|made| matches!(made, Ok(Some(_)))).count(), 1);
        let users = db.store.users(0, 10).await.unwrap();
        assert_eq!((users.len(), users[0].role.as_str()), (1, "admin"));
        db.store.put_link(&link(2, None)).await.unwrap();
        assert_eq!(db.store.enrol_first(&link(2, None), "eve@example.com", &MONA).await.unwrap(), None);
    }

    async fn a_codes_time_step_and_a_recovery_code_open_once(db: Database) {
        let id = admin(&db, "mona@example.com", 1).await;
        assert!(!db.store.take_totp_step(id, 5).await.unwrap(), "it was shown while enrolling");
        assert!(db.store.take_totp_step(id, 6).await.unwrap());
        assert!(!db.store.take_totp_step(id, 6).await.unwrap() && !db.store.take_totp_step(id, 4).await.unwrap());
        assert!(db.store.use_recovery_code(id, &[1; 32]).await.unwrap());
        assert!(!db.store.use_recovery_code(id, &[1; 32]).await.unwrap());
        assert_eq!(db.store.recovery_codes_left(id).await.unwrap(), 1);
        db.store.renew_recovery_codes(id, &[[3; 32], [4; 32], [5; 32]]).await.unwrap();
        assert!(!db.store.use_recovery_code(id, &[2; 32]).await.unwrap(), "the old ones are gone");
        assert_eq!(db.store.recovery_codes_left(id).await.unwrap(), 3);
    }

    async fn somebody_who_administers_is_always_left(db: Database) {
        let (mona, omar) = (admin(&db, "mona@example.com", 1).await, admin(&db, "omar@example.com", 2).await);
        db.store.add_user("invited@example.com", "admin", "cli:amr", 1).await.unwrap();
        let (one, other) = futures::join!(db.store.remove_user(mona), db.store.set_user_role(omar, "viewer"));
        let mut both = [one.unwrap(), other.unwrap()];
        both.sort_by_key(|change| *change == UserChange::LastAdmin);
        assert_eq!(both, [UserChange::Made, UserChange::LastAdmin], "who was only invited does not count");
        assert_eq!(db.store.remove_user(999).await.unwrap(), UserChange::Unknown);
    }

    async fn with_a_user_go_their_sessions_links_and_codes(db: Database) {
        let (mona, _) = (admin(&db, "mona@example.com", 1).await, admin(&db, "omar@example.com", 2).await);
        let alive = Alive { seen_after: 0, made_after: 0 };
        db.store.open_session(&[8; 32], mona, ("::1", ""), alive, 30).await.unwrap();
        db.store.put_link(&link(3, Some(mona))).await.unwrap();
        assert_eq!(db.store.remove_user(mona).await.unwrap(), UserChange::Made);
        assert!(db.store.session(&[8; 32], alive).await.unwrap().is_none());
        assert!(db.store.link(&[3; 32], 20).await.unwrap().is_none());
        assert!(!db.store.use_recovery_code(mona, &[1; 32]).await.unwrap());
    }
}
