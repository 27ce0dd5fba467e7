//! A campaign's sends as CSV, a row per person.

use domain::send::SendState;
use tokio::io::AsyncWrite;

use crate::App;
use crate::campaigns::row;
use crate::fault::Result;
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
    ];
    let mut sheet = Sheet::begin(out, &columns).await?;
    let mut after = 0;
    loop {
        let page = app.store.export_page(id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.send.contact_id;
        for line in &page {
            let send = &line.send;
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
            ])?;
        }
        sheet.end_page().await?;
    }
    sheet.end().await
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
