//! What people and programs do in a world: accounts, imports, campaigns, questions to the API.

use super::*;

impl World {
    /// Stores the simulator's account, reads its numbers and templates, and sets the numbers' rates.
    pub async fn open_account(&self) {
        let token = self.secret("token", TOKEN);
        let app_secret = self.secret("app-secret", APP_SECRET);
        let verify_token = self.secret("verify-token", VERIFY_TOKEN);
        let add = ["account", "add", "--name", "hoopoe", "--waba-id", WABA, "--access-token-file", &token];
        let add = [&add[..], &["--app-secret-file", &app_secret, "--verify-token-file", &verify_token]].concat();
        let _ = self.hudhud(&add).await.ok();
        let _ = self.hudhud(&["account", "sync"]).await.ok();
        for number in NUMBERS {
            let _ = self.hudhud(&["number", "set", number, "--rate", &self.rate.to_string()]).await.ok();
        }
    }

    /// Sets a number's rate, which it must keep from now on and has kept before.
    ///
    /// # Panics
    /// When there is no such number.
    pub async fn set_rate(&self, number: &str, rate: u32) {
        let _ = self.hudhud(&["number", "set", number, "--rate", &rate.to_string()]).await.ok();
        self.rates.lock().expect("no story panics in here").insert(number.to_owned(), rate);
    }

    /// Sends a message past Hudhud, as another program does that shares the business number: Meta tells us of it too.
    ///
    /// # Panics
    /// When the simulator refuses it.
    pub async fn send_past_us(&self, number: &str, to: &str, callback: &str) {
        let body = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "template",
            "biz_opaque_callback_data": callback,
            "template": {"name": "eid_offer", "language": {"code": "en"}, "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "Mona"}, {"type": "text", "text": "20%"}]},
                {"type": "button", "sub_type": "quick_reply", "index": "0",
                 "parameters": [{"type": "payload", "payload": "another program's"}]},
                {"type": "button", "sub_type": "quick_reply", "index": "1",
                 "parameters": [{"type": "payload", "payload": "another program's"}]},
            ]},
        });
        let url = format!("{}/v26.0/{number}/messages", self.simulator.graph_url());
        let answer = self.http.post(url).bearer_auth(TOKEN).json(&body).send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    }

    /// The verify token of the account.
    #[must_use]
    pub fn verify_token(&self) -> &'static str {
        VERIFY_TOKEN
    }

    /// The app secret of the account, for who signs webhooks of their own.
    #[must_use]
    pub fn app_secret(&self) -> &'static str {
        APP_SECRET
    }

    /// Imports the made-up people of a range into a list.
    ///
    /// # Panics
    /// Unless each of them is accepted.
    pub async fn import(&self, list: &str, people: std::ops::Range<u32>) {
        let count = people.len();
        let file = self.file(&format!("{list}.csv"), &people_csv(people));
        let import = ["import", &file, "--list", list, "--opt-in-source", "web form", "--opt-in-at", "@opted_in_at"];
        let summary = self.hudhud(&import).await.ok();
        assert_eq!(summary["accepted"], json!(count), "{summary}");
    }

    /// Creates a campaign of `eid_offer` to a list, from [`NUMBER`] unless `more` names others.
    pub async fn create(&self, name: &str, list: &str, more: &[&str]) -> Campaign {
        let mut args = vec!["campaign", "create", name, "--template", "eid_offer", "--language", "en", "--list", list];
        args.extend(["--param", "1={name|friend}", "--param", "2=20%"]);
        if !more.contains(&"--number") {
            args.extend(["--number", NUMBER]);
        }
        args.extend(more);
        let created = self.hudhud(&args).await.ok();
        Campaign { id: created["id"].as_i64().expect("a campaign has an id"), name: name.to_owned() }
    }

    /// Creates and launches a campaign.
    pub async fn launch(&self, name: &str, list: &str, more: &[&str]) -> Campaign {
        let campaign = self.create(name, list, more).await;
        let _ = self.hudhud(&["campaign", "launch", name, "--yes"]).await.ok();
        campaign
    }

    /// `campaign show`, over HTTP; `None` while nobody answers.
    pub async fn shown(&self, campaign: &Campaign) -> Option<Value> {
        self.api_get(&format!("campaigns/{}", campaign.id)).await
    }

    /// Asks the HTTP API of `main`, as its admin; `None` while nobody answers with a success.
    pub async fn api_get(&self, path: &str) -> Option<Value> {
        if self.key.get().is_none() {
            let made = self.hudhud(&["apikey", "create", "stories", "--role", "admin"]).await;
            let key = made.json["key"].as_str().filter(|_| made.code == 0)?.to_owned();
            // Another look may have been faster; either key is good.
            let _ = self.key.set(key);
        }
        let request = self.http.get(format!("http://{}/api/v1/{path}", self.api)).bearer_auth(self.key.get()?);
        let answer = request.timeout(Duration::from_secs(5)).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json().await.ok()
    }

    /// The API key of an admin.
    ///
    /// # Panics
    /// Unless `main` answers.
    pub async fn api_key(&self) -> &str {
        assert!(self.api_get("campaigns").await.is_some(), "the API answers");
        self.key.get().expect("made by the look before")
    }
}
