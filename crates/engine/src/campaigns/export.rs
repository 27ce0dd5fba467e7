//! A campaign's sends as CSV, a row per person.

use domain::phone::{Countries, Region};
use domain::pricing::{Billed, market_of};
use domain::send::SendState;
use store::{CampaignReply, SendRow};
use tokio::io::AsyncWrite;

use crate::App;
use crate::campaigns::report::button_of;
use crate::campaigns::row;
use crate::fault::Result;
use crate::rate_card::{Cards, written};
use crate::sheet::{Sheet, disarm};
use crate::views::iso;

/// Rows read at once.
const PAGE: i64 = 2_000;

/// Writes the campaign's sends as CSV (UTF-8 with BOM, so that spreadsheets read it; text cells that would be formulas
/// are disarmed). How many rows were written.
///
/// # Errors
/// When there is no such campaign, or reading or writing fails; what was written until then stays.
pub async fn export(app: &App, id: i64, out: &mut (impl AsyncWrite + Unpin + Send)) -> Result<u64> {
    row(app, id).await?;
    let columns = [
        "phone",
        "name",
        "state",
        "attempts",
        "code",
        "reason",
        "wamid",
        "accepted_at",
        "sent_at",
        "delivered_at",
        "read_at",
        "failed_at",
        "category",
        "billable",
        "price",
        "currency",
        "replied_at",
        "button",
        "opted_out_at",
    ];
    let cards = Cards::load(app).await?;
    let mut countries = Countries::default();
    let mut sheet = Sheet::begin(out, &columns).await?;
    let mut after = 0;
    loop {
        let page = app.store.export_page(id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        let through = last.send.contact_id;
        let replies = app.store.replies_between(id, after, through).await?;
        let mut replies = replies.as_slice();
        after = through;
        for line in &page {
            let send = &line.send;
            let end = replies.iter().position(|reply| reply.contact_id > send.contact_id).unwrap_or(replies.len());
            let (own, rest) = replies.split_at(end);
            replies = rest;
            let price = price_of(&cards, send, || {
                line.phone.and_then(|digits| u64::try_from(digits).ok()).and_then(|digits| countries.of(digits))
            });
            let state = SendState::try_from(send.state).map_or("unknown", SendState::as_str);
            let time = |at: Option<i64>| at.map(iso).unwrap_or_default();
            sheet.row([
                line.phone.map(|digits| disarm(&format!("+{digits}"))).unwrap_or_default(),
                disarm(line.name.as_deref().unwrap_or_default()),
                state.to_owned(),
                send.attempt.to_string(),
                send.code.map(|code| code.to_string()).unwrap_or_default(),
                disarm(send.reason.as_deref().unwrap_or_default()),
                send.wamid.clone().unwrap_or_default(),
                time(send.accepted_at),
                time(send.sent_at),
                time(send.delivered_at),
                time(send.read_at),
                time(send.failed_at),
                price.category,
                price.billable,
                price.price,
                price.currency,
                time(own.iter().map(|reply| reply.at).min()),
                disarm(&tapped(own)),
                time(line.opted_out_at),
            ])?;
        }
        sheet.end_page().await?;
    }
    sheet.end().await
}

/// What Meta said of a message's price, and what that comes to; empty where it said nothing.
#[derive(Debug, Default)]
struct PriceCells {
    category: String,
    billable: String,
    price: String,
    currency: String,
}

fn price_of(cards: &Cards, send: &SendRow, country: impl FnOnce() -> Option<Region>) -> PriceCells {
    let Some(billed) = send.billed.and_then(Billed::from_code) else { return PriceCells::default() };
    let mut cells = PriceCells {
        category: billed.category.as_str().to_owned(),
        billable: if billed.billable { "yes" } else { "no" }.to_owned(),
        ..PriceCells::default()
    };
    // Only what was delivered is billed.
    let is_delivered = send.state == SendState::Delivered as i16 || send.state == SendState::Read as i16;
    if let Some(at) = send.delivered_at.or(send.read_at).filter(|_| is_delivered) {
        let card = cards.at(at);
        let price = if billed.billable { card.price(market_of(country()), billed.category) } else { Some(0) };
        if let Some(price) = price {
            (cells.price, cells.currency) = (written(price), card.currency.clone());
        }
    }
    cells
}

/// What was on the first button that the person tapped.
fn tapped(replies: &[CampaignReply]) -> String {
    let first = replies.iter().filter(|reply| reply.kind == "button").min_by_key(|reply| reply.at);
    first.map(|reply| button_of(reply).1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text_in_an_export() {
        assert_eq!(disarm("=1+1"), "'=1+1");
        assert_eq!(disarm("Mona"), "Mona");
    }
}
