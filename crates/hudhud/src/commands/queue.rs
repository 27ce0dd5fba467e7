//! `hudhud queue`.

use std::collections::BTreeSet;

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
    let lanes = lanes.as_array().map_or(&[][..], Vec::as_slice);
    session.out.table(&columns, lanes)?;
    // Sentences would not fit into a table; one that holds for several numbers is said once.
    let reasons: BTreeSet<&str> = lanes.iter().filter_map(|lane| lane["reason"].as_str()).collect();
    for reason in reasons {
        session.out.remark(reason);
    }
    Ok(Exit::Done)
}
