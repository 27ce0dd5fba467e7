//! The command line: its exit codes, and its three ways to Hudhud.

use std::time::Duration;

use e2e::{Database, NUMBER, Setup, World, people_csv, story};
use serde_json::json;

const ANSWERED_WITHIN: Duration = Duration::from_secs(90);

#[tokio::test]
async fn every_command_ends_with_the_code_that_the_contract_gives() {
    story(ANSWERED_WITHIN, async {
        let (world, _serve) = World::with_serve(Setup::on(Database::Sqlite)).await;
        // 2: usage, a setting that is none, a contradiction.
        let _ = world.hudhud(&["campaign"]).await.coded(2);
        let _ = world.hudhud(&["campaign", "show", "x", "--no-such-flag"]).await.coded(2);
        let unknown = world.hudhud_in("main", &["list", "ls"], &[("HUDHUD_DATABSE_URL", "sqlite:///tmp/x.db")]).await;
        assert!(unknown.stderr.contains("HUDHUD_DATABSE_URL"), "{}", unknown.stderr);
        let _ = unknown.coded(2);
        // 3: done, with rejected rows.
        let file = world.file("people.csv", &format!("{}not a number,X,en,2026-03-25,1\n", people_csv(0..5)));
        let import =
            ["import", &file, "--list", "spring", "--opt-in-source", "form", "--opt-in-at", "2026-03-25T10:00:00Z"];
        assert_eq!(world.hudhud(&import).await.coded(3)["accepted"], 5);
        // 4: the preflight refuses, and names what stands against it.
        let pending = ["campaign", "create", "early", "--template", "winter_preview", "--language", "en"];
        let pending = [&pending[..], &["--list", "spring", "--number", NUMBER, "--param", "1={name}"]].concat();
        let created = world.hudhud(&pending).await;
        if created.code == 0 {
            let preflight = world.hudhud(&["campaign", "preflight", "early"]).await.coded(4);
            assert_ne!(preflight["blockers"], json!([]), "{preflight}");
            let _ = world.hudhud(&["campaign", "launch", "early", "--yes"]).await.coded(4);
        }
        let missing = ["campaign", "create", "missing", "--template", "eid_offer", "--language", "en"];
        let missing = [&missing[..], &["--list", "spring", "--number", NUMBER, "--param", "1={nickname}"]].concat();
        let _ = world.hudhud(&[&missing[..], &["--param", "2=20%"]].concat()).await.ok();
        let preflight = world.hudhud(&["campaign", "preflight", "missing"]).await.coded(4);
        assert_ne!(preflight["blockers"], json!([]), "{preflight}");
        let _ = world.hudhud(&["campaign", "launch", "missing", "--yes"]).await.coded(4);
        assert_eq!(world.simulator.taken_in().await, 0, "nothing was sent");
        // 5: not found.
        let _ = world.hudhud(&["campaign", "show", "nothing"]).await.coded(5);
        let _ = world.hudhud(&["list", "show", "nothing"]).await.coded(5);
        // 7: wrong state; 4 again: another audience than expected.
        let draft = world.create("draft", "spring", &[]).await;
        let _ = world.hudhud(&["campaign", "resume", "draft"]).await.coded(7);
        let unexpected = ["campaign", "launch", "draft", "--yes", "--expect-recipients", "7"];
        assert_ne!(world.hudhud(&unexpected).await.code, 0);
        let launch = ["campaign", "launch", "draft", "--yes", "--expect-recipients", "5"];
        let _ = world.hudhud(&launch).await.ok();
        let _ = world.settle(&draft).await;
        let _ = world.hudhud(&["campaign", "launch", "draft", "--yes"]).await.coded(7);
        // 8: a server that does not answer.
        let _ = world.hudhud(&["list", "ls", "--url", "http://127.0.0.1:9"]).await.coded(8);
        // 2: a loopback-only setting elsewhere.
        let plain = [("HUDHUD_GRAPH_URL", "http://graph.example.com")];
        let _ = world.hudhud_in("main", &["list", "ls"], &plain).await.coded(2);
    })
    .await;
}

#[tokio::test]
async fn a_command_says_the_same_in_its_own_process_through_the_socket_and_from_afar() {
    story(ANSWERED_WITHIN, async {
        let world = World::new(Setup::on(Database::Sqlite)).await;
        // Nothing runs: each command opens the database itself, creates and migrates it.
        let _ = world.hudhud(&["migrate"]).await.ok();
        world.open_account().await;
        world.import("spring", 0..50).await;
        let inside = world.hudhud(&["list", "show", "spring"]).await.ok();
        assert_eq!(inside["members"], 50, "{inside}");
        let numbers = world.hudhud(&["number", "list"]).await.ok();

        let mut serve = world.serve("main", &[]).await;
        assert_eq!(world.hudhud(&["list", "show", "spring"]).await.ok(), inside);
        assert_eq!(world.hudhud(&["number", "list"]).await.ok(), numbers);

        let url = format!("http://{}", serve.api);
        let key = world.secret("key", world.api_key().await);
        let afar = [("HUDHUD_URL", url.as_str()), ("HUDHUD_API_KEY_FILE", key.as_str())];
        assert_eq!(world.hudhud_in("elsewhere", &["list", "show", "spring"], &afar).await.ok(), inside);
        assert_eq!(world.hudhud_in("elsewhere", &["number", "list"], &afar).await.ok(), numbers);
        let file = world.file("more.csv", &people_csv(50..60));
        let import =
            ["import", &file, "--list", "spring", "--opt-in-source", "form", "--opt-in-at", "2026-03-25T10:00:00Z"];
        assert_eq!(world.hudhud_in("elsewhere", &import, &afar).await.ok()["created"], 10);

        // 6: no key, an unknown key, a key whose role may not.
        let no_key = [("HUDHUD_URL", url.as_str())];
        let _ = world.hudhud_in("elsewhere", &["list", "ls"], &no_key).await.coded(6);
        let viewer = world.hudhud(&["apikey", "create", "looker", "--role", "viewer"]).await.ok();
        let viewer = world.secret("viewer", viewer["key"].as_str().expect("a key"));
        let viewer = [("HUDHUD_URL", url.as_str()), ("HUDHUD_API_KEY_FILE", viewer.as_str())];
        let _ = world.hudhud_in("elsewhere", &["list", "ls"], &viewer).await.ok();
        let _ = world.hudhud_in("elsewhere", &["optout", "ls"], &viewer).await.coded(6);
        let _ = world.hudhud_in("elsewhere", &["pause-all", "--reason", "x"], &viewer).await.coded(6);
        let _ = world.hudhud(&["apikey", "revoke", "looker"]).await.ok();
        let _ = world.hudhud_in("elsewhere", &["list", "ls"], &viewer).await.coded(6);

        serve.kill();
        assert_eq!(world.hudhud(&["list", "show", "spring"]).await.ok()["members"], 60);
    })
    .await;
}

#[tokio::test]
async fn serve_is_ready_without_an_account_and_a_second_one_is_kept_off_its_database() {
    story(ANSWERED_WITHIN, async {
        let world = World::new(Setup::on(Database::Sqlite)).await;
        let mut serve = world.serve("main", &[]).await;
        assert_eq!(world.hudhud(&["number", "list"]).await.ok(), json!([]));
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let status = async |path: &str| {
            http.get(format!("http://{}{path}", serve.api)).send().await.expect("an answer").status().as_u16()
        };
        assert_eq!(status("/").await, 200);
        assert_eq!(status("/api/openapi.json").await, 200);
        assert_eq!(status("/api/v1/campaigns").await, 401);
        assert_eq!(status("/api/v1/nothing").await, 404);
        let database = format!("sqlite://{}", world.data_dir("main").join("hudhud.db").display());
        let second = world.hudhud_in("second", &["list", "ls"], &[("HUDHUD_DATABASE_URL", &database)]).await;
        assert!(second.stderr.contains("in use"), "{}", second.stderr);
        let _ = second.coded(8);
        serve.expect_running();
    })
    .await;
}

#[tokio::test]
async fn a_post_with_the_same_idempotency_key_is_answered_from_memory() {
    story(ANSWERED_WITHIN, async {
        let (world, serve) = World::with_serve(Setup::on(Database::Sqlite)).await;
        world.import("spring", 0..5).await;
        let key = world.api_key().await.to_owned();
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let body = json!({"name": "once", "template": "eid_offer", "language": "en", "lists": ["spring"],
            "numbers": [NUMBER], "params": {"1": "{name|friend}", "2": "20%"}});
        let post = async |idempotency: &str, body: &serde_json::Value| {
            let request = http.post(format!("http://{}/api/v1/campaigns", serve.api)).bearer_auth(&key);
            let answer = request.header("idempotency-key", idempotency).json(body).send().await.expect("an answer");
            (answer.status().as_u16(), answer.json::<serde_json::Value>().await.expect("JSON"))
        };
        let (first_status, first) = post("k1", &body).await;
        assert_eq!(first_status, 201, "{first}");
        assert_eq!(post("k1", &body).await, (first_status, first));
        let mut other = body.clone();
        other["name"] = json!("twice");
        let (status, problem) = post("k1", &other).await;
        assert_eq!(status, 422, "{problem}");
        for part in ["type", "title", "detail", "kept", "action", "request_id"] {
            assert!(problem[part].is_string(), "{part}: {problem}");
        }
        let (status, problem) = post("k2", &body).await;
        assert_eq!(status, 409, "the name is taken: {problem}");
        let campaigns = world.hudhud(&["campaign", "ls"]).await.ok();
        assert_eq!(campaigns.as_array().map(Vec::len), Some(1), "{campaigns}");
    })
    .await;
}
