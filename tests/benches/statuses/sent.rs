//! Messages that were sent, of which there is something to tell: signed bodies as Meta writes them.

use std::fmt::Write as _;

use e2e::{NUMBERS, WABA, World};
use ring::hmac;

/// A message that was taken in.
pub(crate) struct Sent {
    /// Its callback data.
    callback: String,
    /// To whom, digits.
    to: String,
}

/// The messages of a campaign, in the order of their people.
pub(crate) async fn of_campaign(world: &World, campaign: i64) -> Vec<Sent> {
    let mut sent: Vec<Sent> = world
        .simulator
        .ledger()
        .await
        .into_iter()
        .filter(|row| row.campaign() == Some(campaign))
        .map(|row| Sent { to: row.to.unwrap_or_default().trim_start_matches('+').to_owned(), callback: row.callback })
        .collect();
    sent.sort_by(|one, other| one.to.cmp(&other.to));
    sent
}

/// What Meta signs with, and when it says that things happened.
pub(crate) struct Pen {
    key: hmac::Key,
    epoch_seconds: i64,
}

impl Pen {
    pub(crate) fn new(secret: &str, epoch_seconds: i64) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), epoch_seconds }
    }

    /// A body of statuses, each in a change of its own, and the tap of a person on a campaign's opt-out button.
    pub(crate) fn body(&self, sent: &[Sent], status: &str, tap: Option<(&str, i64)>) -> Letter {
        let mut changes: Vec<String> = sent.iter().map(|sent| self.change(sent, status)).collect();
        if let Some((person, campaign)) = tap {
            changes.push(self.tap(person, campaign));
        }
        let mut body = String::from("{\"object\":\"whatsapp_business_account\",\"entry\":[");
        for (place, entry) in changes.chunks(5).enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let _ = write!(body, "{comma}{{\"id\":\"{WABA}\",\"changes\":[{}]}}", entry.join(","));
        }
        body.push_str("]}");
        let tag = hmac::sign(&self.key, body.as_bytes());
        Letter { signature: format!("sha256={}", hex::encode(tag.as_ref())), body }
    }

    fn change(&self, sent: &Sent, status: &str) -> String {
        let Sent { callback, to } = sent;
        let at = self.epoch_seconds;
        format!(
            "{{\"field\":\"messages\",\"value\":{{\"messaging_product\":\"whatsapp\",\"metadata\":{{\
             \"display_phone_number\":\"15550000001\",\"phone_number_id\":\"{}\"}},\"contacts\":[{{\"wa_id\":\"{to}\",\
             \"user_id\":\"EG.{to:0>20}\",\"profile\":{{\"name\":\"Made Up\"}}}}],\"statuses\":[{{\
             \"id\":\"wamid.HBgM{to}FQIAERgSMDAw{to}AA==\",\"status\":\"{status}\",\"timestamp\":\"{at}\",\
             \"recipient_id\":\"{to}\",\"recipient_user_id\":\"EG.{to:0>20}\",\
             \"biz_opaque_callback_data\":\"{callback}\",\"pricing\":{{\"billable\":true,\"pricing_model\":\"PMP\",\
             \"type\":\"regular\",\"category\":\"marketing\"}}}}]}}}}",
            NUMBERS[0]
        )
    }

    fn tap(&self, person: &str, campaign: i64) -> String {
        let at = self.epoch_seconds;
        format!(
            "{{\"field\":\"messages\",\"value\":{{\"messaging_product\":\"whatsapp\",\"metadata\":{{\
             \"display_phone_number\":\"15550000001\",\"phone_number_id\":\"{}\"}},\"contacts\":[{{\"wa_id\":\"{person}\",\
             \"profile\":{{\"name\":\"Made Up\"}}}}],\"messages\":[{{\"from\":\"{person}\",\
             \"id\":\"wamid.HBgM{person}FQIAEhgSMDAwTAP\",\"timestamp\":\"{at}\",\"type\":\"button\",\"button\":{{\
             \"payload\":\"HH1:c{campaign}:b1:OPTOUT\",\"text\":\"Stop promotions\"}}}}]}}}}",
            NUMBERS[0]
        )
    }
}

/// A signed body.
pub(crate) struct Letter {
    pub(crate) body: String,
    pub(crate) signature: String,
}
