//! `hudhud queue`.

use super::with_client;
use crate::cli::Session;
use crate::exit::Exit;

pub(super) async fn run(session: &Session) -> anyhow::Result<Exit> {
    let lanes = with_client(session, async |client| client.get("/api/v1/queue").await).await?;
    let columns = [
        ("PHONE NUMBER ID", "phone_number_id"),
        ("READY", "ready"),
        ("DELAYED", "delayed"),
        ("IN FLIGHT", "in_flight"),
        ("OLDEST S", "oldest_seconds"),
        ("PACE", "pace"),
        ("RATE", "rate"),
        ("STATE", "state"),
        ("OWNER", "owner"),
    ];
    session.out.table(&columns, lanes.as_array().map_or(&[], Vec::as_slice))?;
    Ok(Exit::Done)
}
