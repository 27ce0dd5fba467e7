//! The settings, indexed for the hot path. Rebuilt whole when a setting changes.

use crate::chance::text_hash;
use crate::identity::dialled;
use crate::settings::{Account, Number, Settings, Template};
use crate::template::Shape;
use std::collections::HashMap;
use std::sync::Arc;

/// An indexed set of settings.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    numbers: HashMap<String, Arc<BusinessNumber>>,
    /// By account, then name; a name has few languages.
    templates: Vec<HashMap<String, Vec<Arc<KnownTemplate>>>>,
    /// What stands in the place of a template for free text: the one without a name.
    free_text: Arc<KnownTemplate>,
    signing_keys: Vec<ring::hmac::Key>,
}

/// A business number with what the hot path needs of it.
#[derive(Debug)]
pub(crate) struct BusinessNumber {
    pub(crate) account: usize,
    pub(crate) number: Number,
    /// The number's own digits; 0 when its display form has none.
    pub(crate) digits: u64,
    /// Messages per sliding second; `None` is unlimited.
    pub(crate) rate: Option<u32>,
}

/// A template with its demands. Its status may be any; sending checks it.
#[derive(Debug)]
pub(crate) struct KnownTemplate {
    pub(crate) language: String,
    pub(crate) category: String,
    pub(crate) status: String,
    pub(crate) shape: Shape,
    /// Stands for (name, language) in every draw.
    pub(crate) hash: u64,
    /// The opt-out button's position.
    pub(crate) opt_out_button: Option<usize>,
}

impl World {
    /// Indexes settings that passed their check.
    pub(crate) fn new(settings: Settings) -> anyhow::Result<World> {
        settings.check()?;
        let mut numbers = HashMap::new();
        let mut templates = Vec::new();
        let mut signing_keys = Vec::new();
        for (account, entry) in settings.accounts.iter().enumerate() {
            for number in &entry.numbers {
                numbers.insert(
                    number.id.clone(),
                    Arc::new(BusinessNumber {
                        account,
                        digits: dialled(&number.display_phone_number).map_or(0, |d| d.digits),
                        rate: settings.rate(&number.id),
                        number: number.clone(),
                    }),
                );
            }
            let mut by_name: HashMap<String, Vec<Arc<KnownTemplate>>> = HashMap::new();
            for template in &entry.templates {
                let known = KnownTemplate::new(template, &settings).map_err(anyhow::Error::msg)?;
                by_name.entry(template.name.clone()).or_default().push(Arc::new(known));
            }
            templates.push(by_name);
            let secret = entry.app_secret.as_ref().unwrap_or(&settings.webhook.app_secret);
            signing_keys.push(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes()));
        }
        Ok(World { settings, numbers, templates, free_text: Arc::new(KnownTemplate::free_text()), signing_keys })
    }

    pub(crate) fn number(&self, phone_number_id: &str) -> Option<&Arc<BusinessNumber>> {
        self.numbers.get(phone_number_id)
    }

    pub(crate) fn account(&self, waba_id: &str) -> Option<(usize, &Account)> {
        self.settings.accounts.iter().enumerate().find(|(_, account)| account.waba_id == waba_id)
    }

    /// What stands for free text.
    pub(crate) fn free_text(&self) -> &Arc<KnownTemplate> {
        &self.free_text
    }

    /// The template in exactly this language, or the reason of 132001. Rows of free text have no name there.
    pub(crate) fn template(&self, account: usize, name: &str, language: &str) -> Result<&Arc<KnownTemplate>, String> {
        if name.is_empty() {
            return Ok(&self.free_text);
        }
        self.templates
            .get(account)
            .and_then(|by_name| by_name.get(name))
            .and_then(|languages| languages.iter().find(|t| t.language == language))
            .ok_or_else(|| format!("template name ({name}) does not exist in {language}"))
    }

    /// The `X-Hub-Signature-256` value of a body of this account's app.
    pub(crate) fn signature(&self, account: usize, body: &[u8]) -> Option<String> {
        let tag = ring::hmac::sign(self.signing_keys.get(account)?, body);
        Some(format!("sha256={}", hex::encode(tag.as_ref())))
    }
}

impl KnownTemplate {
    /// Free text has no variables, no buttons, and the price of a service message.
    fn free_text() -> KnownTemplate {
        KnownTemplate {
            language: String::new(),
            category: "SERVICE".to_owned(),
            status: "APPROVED".to_owned(),
            opt_out_button: None,
            hash: text_hash(0, "free text"),
            shape: Shape::default(),
        }
    }

    fn new(template: &Template, settings: &Settings) -> Result<KnownTemplate, String> {
        let shape = Shape::read(template)?;
        Ok(KnownTemplate {
            language: template.language.clone(),
            category: template.category.clone(),
            status: template.status.clone(),
            opt_out_button: shape.opt_out_button(&settings.people.opt_out_labels),
            hash: text_hash(0, &format!("{}/{}", template.name, template.language)),
            shape,
        })
    }
}
