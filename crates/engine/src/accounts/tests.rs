use store::on_both_databases;
use store::testing::Database;

use super::*;
use crate::testing::{Graph, NOW, TestApp, app, app_at};
use crate::{numbers, templates};

fn new(name: &str, waba_id: &str) -> NewAccount {
    NewAccount {
        name: name.to_owned(),
        waba_id: waba_id.to_owned(),
        portfolio: None,
        access_token: SecretString::from("EAAG-good\n"),
        app_secret: SecretString::from("the app's"),
        verify_token: SecretString::from("word"),
    }
}

fn plain(name: &str, waba_id: &str) -> NewAccount {
    NewAccount { app_secret: SecretString::from("secret-of-the-app"), ..new(name, waba_id) }
}

fn template(name: &str, text: &str) -> serde_json::Value {
    serde_json::json!({"id": format!("id-{name}"), "name": name, "language": "en", "status": "APPROVED",
        "category": "MARKETING", "components": [{"type": "BODY", "text": text}]})
}

async fn shop(db: Database) -> (TestApp, Graph) {
    let graph = Graph::start().await;
    let app = app_at(db, &graph.url).await;
    add(&app, plain("shop", "100")).await.unwrap();
    graph.serve("100/phone_numbers", serde_json::json!([
        {"id": "1", "display_phone_number": "+1 555-010-0001", "throughput": {"level": "HIGH"}, "quality_rating": "GREEN",
         "whatsapp_business_manager_messaging_limit": "TIER_10K", "status": "CONNECTED"},
        {"id": "2", "is_on_biz_app": true},
    ]));
    graph.serve(
        "100/message_templates",
        serde_json::json!([template("sale", "Hi {{1}}"), template("named", "Hi {{first_name}}"),]),
    );
    (app, graph)
}

on_both_databases! {
    async fn a_sync_reads_numbers_and_templates_and_notices_what_is_gone(db: Database) {
        let (app, graph) = shop(db).await;
        let report = sync(&app, Some("shop")).await.unwrap();
        let expected = AccountSync { account: "shop".to_owned(), numbers: 2, templates: 2, templates_gone: 0 };
        assert_eq!(report.accounts, [expected]);

        let listed = numbers::list(&app).await.unwrap();
        assert_eq!(listed.iter().map(|number| number.rate).collect::<Vec<_>>(), [Some(1_000), Some(20)]);
        assert_eq!((listed[0].messaging_limit.as_str(), listed[1].quality.as_str()), ("10000", "UNKNOWN"));
        let shown = templates::show(&app, "named", "en").await.unwrap();
        assert_eq!((shown[0].parameter_format.as_str(), shown[0].parameters.as_slice()), ("NAMED", ["first_name".to_owned()].as_slice()));

        graph.serve("100/message_templates", serde_json::json!([template("sale", "Hi {{1}}, again")]));
        let report = sync(&app, None).await.unwrap();
        assert_eq!((report.accounts[0].templates, report.accounts[0].templates_gone), (1, 1));
        assert_eq!(templates::show(&app, "named", "en").await.unwrap()[0].status, "DELETED");
        assert!(templates::show(&app, "sale", "en").await.unwrap()[0].components.to_string().contains("again"));
        let fault = templates::show(&app, "sale", "ar").await.unwrap_err();
        assert!(fault.action.contains("en"), "{fault}");
        assert_eq!(list(&app).await.unwrap()[0].synced_at, Some(NOW));
    }

    async fn a_refused_token_is_said_and_the_other_accounts_are_read(db: Database) {
        let (app, graph) = shop(db).await;
        graph.serve("200/phone_numbers", serde_json::json!([]));
        graph.serve("200/message_templates", serde_json::json!([]));
        add(&app, plain("another", "200")).await.unwrap();
        rotate(&app, "another", &SecretString::from("EAAG-old")).await.unwrap();
        let id = app.store.account_named("another").await.unwrap().unwrap().id;
        app.store.set_account_stopped(id, Some("Meta refuses the token"), 1).await.unwrap();

        let fault = sync(&app, None).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Forbidden);
        assert!(fault.kept.contains("shop") && fault.action.contains("rotate another"), "{fault}");
        assert_eq!(numbers::list(&app).await.unwrap().len(), 2);

        // Unasked, the stopped account is neither read nor let go on.
        assert_eq!(reread(&app).await.unwrap().accounts.len(), 1);
        assert!(list(&app).await.unwrap()[0].stopped_reason.is_some());

        let view = rotate(&app, "another", &SecretString::from("EAAG-good")).await.unwrap();
        assert_eq!(view.stopped_reason, None);
        assert_eq!(sync(&app, None).await.unwrap().accounts.len(), 2);
    }

    async fn secrets_are_sealed_in_the_database_and_open_again(db: Database) {
        let app = app(db).await;
        add(&app, plain("shop", "100")).await.unwrap();
        let account = app.store.account_named("shop").await.unwrap().unwrap();
        for sealed in [&account.access_token, &account.app_secret, &account.verify_token] {
            let text = String::from_utf8_lossy(sealed);
            assert!(!text.contains("EAAG") && !text.contains("secret-of") && !text.contains("word"));
        }
        assert_eq!(access_token(&app, account.id).await.unwrap().expose_secret(), "EAAG-good");
        assert_eq!(app_secret(&app, &account).unwrap().expose_secret(), "secret-of-the-app");
        assert_eq!(verify_token(&app, &account).unwrap().expose_secret(), "word");
        // One column's bytes do not open in another.
        let swapped = Account { app_secret: account.access_token.clone(), ..account };
        assert_eq!(app_secret(&app, &swapped).unwrap_err().kind, FaultKind::Internal);
    }

    async fn an_account_that_cannot_be_one_is_refused(db: Database) {
        let app = app(db).await;
        add(&app, plain("shop", "100")).await.unwrap();
        let taken = add(&app, plain("other", "100")).await.unwrap_err();
        assert_eq!(taken.kind, FaultKind::Conflict);
        for bad in [
            plain("", "200"),
            plain("x", "20/0"),
            new("x", "200"),
            NewAccount { access_token: SecretString::from(" "), ..plain("x", "200") },
        ] {
            assert_eq!(add(&app, bad).await.unwrap_err().kind, FaultKind::Invalid);
        }
        assert_eq!(rotate(&app, "nobody", &SecretString::from("EAAG")).await.unwrap_err().kind, FaultKind::NotFound);
        assert_eq!(sync(&app, Some("nobody")).await.unwrap_err().kind, FaultKind::NotFound);
        assert_eq!(sync(&app, Some("shop")).await.unwrap_err().kind, FaultKind::Unavailable);
    }

    async fn a_number_is_set_paused_and_resumed_by_its_id(db: Database) {
        let (app, _graph) = shop(db).await;
        sync(&app, None).await.unwrap();
        let set = numbers::set_rate(&app, "1", numbers::Rate::PerSecond(40)).await.unwrap();
        assert_eq!((set.rate, set.set_rate), (Some(40), Some(40)));
        assert_eq!(numbers::set_rate(&app, "1", numbers::Rate::Unlimited).await.unwrap().rate, None);
        assert_eq!(numbers::set_rate(&app, "1", numbers::Rate::FromLevel).await.unwrap().rate, Some(1_000));
        assert_eq!(numbers::set_rate(&app, "1", numbers::Rate::PerSecond(0)).await.unwrap_err().kind, FaultKind::Invalid);
        let paused = numbers::pause(&app, "2", " complaints ").await.unwrap();
        assert_eq!((paused.paused_reason.as_deref(), paused.paused_at), (Some("complaints"), Some(NOW)));
        assert_eq!(numbers::resume(&app, "2").await.unwrap().paused_reason, None);
        assert_eq!(numbers::pause(&app, "2", " ").await.unwrap_err().kind, FaultKind::Invalid);
        for unknown in [numbers::pause(&app, "9", "x").await, numbers::resume(&app, "9").await] {
            assert_eq!(unknown.unwrap_err().kind, FaultKind::NotFound);
        }
        numbers::pause_all(&app, "an incident").await.unwrap();
        assert_eq!(app.store.paused_all().await.unwrap().as_deref(), Some("an incident"));
        numbers::resume_all(&app).await.unwrap();
        assert_eq!(app.store.paused_all().await.unwrap(), None);
    }
}

#[tokio::test]
async fn meta_does_not_let_a_number_be_unlimited_or_faster_than_its_level() {
    let (test, _graph) = shop(Database::sqlite().await).await;
    sync(&test, None).await.unwrap();
    let parts = crate::AppParts {
        store: test.store.clone(),
        graph: test.graph.clone(),
        graph_is_loopback: false,
        vault: crate::Vault::new(&SecretString::from("a secret key of the tests, long enough")).unwrap(),
        clock: test.clock.clone(),
        data_dir: test.data_dir.path().to_owned(),
        upload_limit: crate::uploads::USUAL_LIMIT,
        redis: None,
        install: test.install.clone(),
    };
    let app = crate::App::new(parts);
    for rate in [numbers::Rate::Unlimited, numbers::Rate::PerSecond(1_001)] {
        assert_eq!(numbers::set_rate(&app, "1", rate).await.unwrap_err().kind, FaultKind::Invalid);
    }
    assert_eq!(numbers::set_rate(&app, "1", numbers::Rate::PerSecond(1_000)).await.unwrap().rate, Some(1_000));
}

#[tokio::test]
async fn a_list_that_a_draft_needs_is_not_removed() {
    let (app, _graph) = shop(Database::sqlite().await).await;
    sync(&app, None).await.unwrap();
    let list = app.store.ensure_list("people", NOW).await.unwrap();
    let template = &templates::show(&app, "sale", "en").await.unwrap()[0];
    let account = app.store.account_named("shop").await.unwrap().unwrap();
    let campaign = store::NewCampaign {
        name: "spring",
        account_id: account.id,
        template_id: Some(template.id),
        template: "{}",
        params: "{}",
        rate_cap: None,
        weight: 10,
        start_at: None,
        lists: &[list],
        excluded_lists: &[],
        filter: None,
        numbers: &[numbers::show(&app, "1").await.unwrap().id],
        created_by: "cli:amr",
        terms: store::Terms::default(),
        parent_id: None,
    };
    app.store.create_campaign(&campaign, NOW).await.unwrap();
    let fault = crate::lists::rm(&app, "people").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::WrongState);
    assert!(fault.detail.contains("spring"), "{fault}");
    assert_eq!(crate::lists::rm(&app, "nobody").await.unwrap_err().kind, FaultKind::NotFound);
}
