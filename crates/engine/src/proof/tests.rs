use store::on_both_databases;
use store::testing::Database;

use super::*;
use crate::importer::tests::{order, run};
use crate::reviews::tests::{said, text};
use crate::testing::{NOW, TestApp, running_campaign};
use crate::{Actor, ledger};

const PHONE: &str = "+20 100 555 0001";
const WA_ID: &str = "201005550001";

/// Somebody who consented, was written to, said stop, and was left out since.
async fn shop_with_omar(db: Database) -> TestApp {
    let (app, campaign) = running_campaign(db).await;
    run(&app, order("people"), b"phone,name\n0100 555 0001,Omar\n").await.unwrap();
    let person = app.store.contact_of_phone(201_005_550_001).await.unwrap().unwrap().id;
    app.store
        .tamper(format!(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state, attempt, claimed_at, wamid, accepted_at, delivered_at)
             VALUES ({campaign}, {person}, 1, 5, 1, {at}, 'wamid.1', {at} + 40, {at} + 900)",
            at = NOW - 60_000
        ))
        .await;
    said(&app, WA_ID, -9, text("who is <b>this</b>?")).await;
    said(&app, WA_ID, -2, text("STOP")).await;
    let later = serde_json::json!({"name": "summer", "template": "sale", "language": "en", "lists": ["people"],
        "numbers": ["1"]});
    let later =
        crate::campaigns::create(&app, &Actor::system(), &serde_json::from_value(later).unwrap()).await.unwrap();
    app.store
        .tamper(format!(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state, reason, claimed_at)
             VALUES ({}, {person}, 1, 8, 'opted-out', {})",
            later.id,
            NOW + 5_000
        ))
        .await;
    while ledger::seal(&app).await.unwrap() {}
    ledger::heads::sign(&app).await.unwrap();
    app
}

on_both_databases! {
    async fn a_proof_shows_consent_messages_the_stop_with_its_event_and_later_exclusions(db: Database) {
        let app = shop_with_omar(db).await;
        let asked_at = app.clock.now_ms();
        let proof = prove(&app, &Actor::cli("nour"), "0020 100 555 0001").await.unwrap();
        assert_eq!(proof.person, "+201005550001");
        assert_eq!(prove(&app, &Actor::cli("nour"), WA_ID).await.unwrap().stops, proof.stops);
        let ProofVerdict { known, erased, suppressed, consented, messages, after_stop, unexplained, excluded_since, .. } =
            proof.verdict.clone();
        assert_eq!((known, erased, suppressed, consented), (true, false, true, true));
        assert_eq!((messages, after_stop, unexplained, excluded_since), (1, 0, 0, 1));
        let consent = &proof.consents[0];
        assert_eq!((consent.source.as_str(), consent.wording.as_str()), ("web shop, newsletter box", "Send me offers by WhatsApp"));
        assert_eq!(consent.import.as_ref().map(|import| import.file_name.as_str()), Some("people.csv"));
        assert!(proof.entries.iter().any(|entry| Some(entry.id) == consent.entry && entry.kind == "opt-in"));
        let stop = &proof.stops[0];
        assert_eq!((stop.source.as_str(), stop.said.as_str()), ("text", "STOP"));
        // Said two seconds before everything began, and in force before anybody asked.
        let longest = (2_000 + asked_at - NOW) as f64 / 1_000.0;
        assert!((2.0..=longest).contains(&stop.seconds_until_effective), "{}", stop.seconds_until_effective);
        assert!(stop.raw.as_deref().unwrap().contains(WA_ID) && stop.body_sha256.as_deref().unwrap().len() == 64);
        assert!(stop.signature.as_deref().unwrap().starts_with("sha256="));
        let left_out = &proof.exclusions[0];
        assert_eq!((left_out.campaign.as_str(), left_out.reason.as_str(), left_out.found_at.as_str()), ("summer", "opted-out", "claim"));
        assert_eq!(proof.signed_heads.len(), 1);
        assert_eq!(proof.replies[0].said, "who is <b>this</b>?");
        let looks = app.store.disclosures(None, 0, 10).await.unwrap();
        assert!(looks.len() == 2 && looks.iter().all(|look| look.what == "prove" && look.actor == "cli:nour"));
    }

    async fn a_proof_is_checked_by_itself_and_every_change_of_it_is_found(db: Database) {
        let app = shop_with_omar(db).await;
        let proof = prove(&app, &Actor::cli("nour"), PHONE).await.unwrap();
        let check = |proof: &Proof| verify(&serde_json::to_string(proof).unwrap()).unwrap();
        let good = check(&proof);
        assert!(good.ok && good.entries == proof.entries.len() && good.signed_heads == 1, "{good:?}");
        for place in 0..proof.entries.len() {
            let changes: [fn(&mut ProofEntry); 5] = [
                |entry| entry.at += 1,
                |entry| entry.kind.push('x'),
                |entry| entry.detail = entry.detail.replacen('"', "'", 1),
                |entry| entry.before = entry.hash.clone(),
                |entry| entry.actor = "cli:eve".to_owned(),
            ];
            for change in changes {
                let mut forged = proof.clone();
                change(&mut forged.entries[place]);
                assert_eq!(check(&forged).first_broken, Some(proof.entries[place].id));
            }
        }
        let mut forged = proof.clone();
        forged.signed_heads[0].signed_ms += 1;
        assert!(!check(&forged).ok);
        assert!(verify("{}").is_err());
        // The ledger that is exported has the same hashes at the same places.
        let mut out = Vec::new();
        ledger::file::export(&app, &mut out).await.unwrap();
        let file = String::from_utf8(out).unwrap();
        assert!(proof.entries.iter().all(|entry| file.contains(&format!("\"hash\":\"{}\"", entry.hash))));
    }

    async fn its_document_leads_with_the_verdict_in_three_languages_and_lets_nobody_write_into_it(db: Database) {
        let app = shop_with_omar(db).await;
        let proof = prove(&app, &Actor::cli("nour"), PHONE).await.unwrap();
        for (language, tag, verdict) in [
            (Language::En, "<html lang=\"en\" dir=\"ltr\">", "may not be messaged"),
            (Language::Ar, "<html lang=\"ar\" dir=\"rtl\">", "لا يجوز مراسلة هذا الشخص"),
            (Language::Es, "<html lang=\"es\" dir=\"ltr\">", "No se puede escribir"),
        ] {
            let document = page::html(&proof, language);
            assert!(document.contains(tag), "{language:?}");
            let place = document.find(verdict).unwrap();
            assert!(document.find("<table").is_none_or(|table| place < table), "the verdict comes first: {language:?}");
            assert!(document.contains("<bdi class=\"v\">+201005550001</bdi>"), "{language:?}");
            assert!(document.contains("who is &lt;b&gt;this&lt;/b&gt;?") && !document.contains("<b>this"));
            assert!(!document.contains("{at}") && !document.contains("{n}") && !document.contains("{scope}"));
            for elsewhere in ["http://", "https://", "src=", "url(", "<script", "<link"] {
                assert!(!document.contains(elsewhere), "{elsewhere}");
            }
        }
    }

    async fn a_message_after_a_stop_is_counted_and_explained_or_not(db: Database) {
        let app = shop_with_omar(db).await;
        let stop = prove(&app, &Actor::cli("nour"), PHONE).await.unwrap().entries.iter().find(|entry| entry.kind == "opt-out").unwrap().at;
        for (claimed, accepted, why) in [(stop - 100, stop + 90, "on-the-wire"), (stop + 9_000, stop + 9_400, "utility")] {
            app.store.tamper(format!("UPDATE sends SET claimed_at = {claimed}, accepted_at = {accepted} WHERE wamid = 'wamid.1'")).await;
            let proof = prove(&app, &Actor::cli("nour"), PHONE).await.unwrap();
            assert_eq!(proof.messages[0].after_stop, Some(AfterStop { ms: accepted - stop, why: why.to_owned() }));
            assert_eq!((proof.verdict.after_stop, proof.verdict.unexplained), (1, 0));
        }
        app.store.tamper("UPDATE campaigns SET template = replace(template, 'UTILITY', 'MARKETING')").await;
        let proof = prove(&app, &Actor::cli("nour"), PHONE).await.unwrap();
        assert_eq!(proof.verdict.unexplained, 1);
        assert!(page::html(&proof, Language::En).contains("class=\"verdict bad\""));
        let nobody = prove(&app, &Actor::cli("nour"), "+20 100 555 0099").await.unwrap();
        assert!(!nobody.verdict.known);
        assert!(page::html(&nobody, Language::En).contains("Nothing is held"));
    }
}
