use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use store::on_both_databases;
use store::testing::Database;
use tokio::io::{AsyncReadExt, ReadBuf};

use super::*;
use crate::FaultKind;
use crate::testing::app;

/// Some bytes, and then a connection that breaks.
struct Broken(&'static [u8]);

impl AsyncRead for Broken {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        buffer.put_slice(std::mem::take(&mut self.0));
        Poll::Ready(Ok(()))
    }
}

on_both_databases! {
    async fn a_file_whose_connection_breaks_is_taken_up_where_it_broke_and_read_as_a_whole(db: Database) {
        let app = app(db).await;
        let mona = Actor::key("mona");
        let begun = begin(&app, &mona).await.unwrap();
        assert_eq!(begun.offset, 0);
        assert_eq!(append(&app, &mona, &begun.id, 0, &b"name,phone\n"[..]).await.unwrap().offset, 11);
        let broken = append(&app, &mona, &begun.id, 11, Broken(b"Omar,+2010")).await.unwrap_err();
        assert_eq!(broken.document.unwrap()["offset"], 21);
        assert_eq!(show(&app, &mona, &begun.id).await.unwrap().offset, 21);
        let doubled = append(&app, &mona, &begun.id, 11, &b"Omar,+2010"[..]).await.unwrap_err();
        assert_eq!((doubled.kind, doubled.document.unwrap()["offset"].as_u64()), (FaultKind::Conflict, Some(21)));
        append(&app, &mona, &begun.id, 21, &b"05550001\n"[..]).await.unwrap();
        let mut whole = String::new();
        open(&app, &mona, &begun.id).await.unwrap().read_to_string(&mut whole).await.unwrap();
        assert_eq!(whole, "name,phone\nOmar,+201005550001\n");
        remove(&app, &mona, &begun.id).await.unwrap();
        assert_eq!(show(&app, &mona, &begun.id).await.unwrap_err().kind, FaultKind::NotFound);
    }

    async fn nobody_finds_another_ones_file_and_no_id_leads_elsewhere(db: Database) {
        let app = app(db).await;
        let mona = Actor::key("mona");
        let begun = begin(&app, &mona).await.unwrap();
        for (actor, id) in [(Actor::key("omar"), begun.id.as_str()), (mona.clone(), "../hudhud.db"), (mona.clone(), "")] {
            assert_eq!(show(&app, &actor, id).await.unwrap_err().kind, FaultKind::NotFound, "{id}");
            assert!(append(&app, &actor, id, 0, &b"x"[..]).await.is_err());
            assert!(open(&app, &actor, id).await.is_err());
            assert!(remove(&app, &actor, id).await.is_err());
        }
        assert_eq!(show(&app, &mona, &begun.id).await.unwrap().offset, 0);
    }

    async fn what_nobody_went_on_with_for_a_day_is_gone_and_nobody_hoards(db: Database) {
        let app = app(db).await;
        let mona = Actor::key("mona");
        let place = app.data_dir.path().join(PLACE);
        let old = begin(&app, &mona).await.unwrap();
        for _ in 1..MOST {
            begin(&app, &mona).await.unwrap();
        }
        assert_eq!(begin(&app, &mona).await.unwrap_err().kind, FaultKind::WrongState);
        begin(&app, &Actor::key("omar")).await.unwrap();
        let known = std::fs::metadata(place.join(&old.id)).unwrap();
        assert_eq!(throw_old_away(&place, touched(&known) + LASTS, &mona).await.unwrap(), MOST);
        assert_eq!(throw_old_away(&place, touched(&known) + LASTS + 3_600_000, &mona).await.unwrap(), 0);
        assert_eq!(show(&app, &mona, &old.id).await.unwrap_err().kind, FaultKind::NotFound);
    }
}
