use std::io;
use std::pin::Pin;
use std::sync::Arc;
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
        let begun = begin(&app, &mona, None).await.unwrap();
        assert_eq!(begun.offset, 0);
        assert_eq!(append(&app, &mona, &begun.id, 0, None, &b"name,phone\n"[..]).await.unwrap().offset, 11);
        let broken = append(&app, &mona, &begun.id, 11, None, Broken(b"Omar,+2010")).await.unwrap_err();
        assert_eq!(broken.document.unwrap()["offset"], 21);
        assert_eq!(show(&app, &mona, &begun.id).await.unwrap().offset, 21);
        let doubled = append(&app, &mona, &begun.id, 11, None, &b"Omar,+2010"[..]).await.unwrap_err();
        assert_eq!((doubled.kind, doubled.document.unwrap()["offset"].as_u64()), (FaultKind::Conflict, Some(21)));
        append(&app, &mona, &begun.id, 21, None, &b"05550001\n"[..]).await.unwrap();
        let mut whole = String::new();
        open(&app, &mona, &begun.id).await.unwrap().read_to_string(&mut whole).await.unwrap();
        assert_eq!(whole, "name,phone\nOmar,+201005550001\n");
        remove(&app, &mona, &begun.id).await.unwrap();
        assert_eq!(show(&app, &mona, &begun.id).await.unwrap_err().kind, FaultKind::NotFound);
    }

    async fn a_file_that_is_too_large_is_refused_before_it_comes_and_where_it_becomes_so(db: Database) {
        let app = app(db).await;
        let mona = Actor::key("mona");
        assert_eq!(room(&app).limit, 1_000);
        assert!(room(&app).free.is_some_and(|free| free > 1_000), "a temporary directory has room");
        let refused = begin(&app, &mona, Some(1_001)).await.unwrap_err();
        assert_eq!(refused.kind, FaultKind::TooLarge);
        assert_eq!(refused.detail, "The file has 1001 bytes, and at most 1000 bytes are taken.");
        assert!(refused.action.contains("HUDHUD_UPLOAD_LIMIT"), "{}", refused.action);
        let begun = begin(&app, &mona, Some(1_000)).await.unwrap();
        append(&app, &mona, &begun.id, 0, Some(600), &[b'x'; 600][..]).await.unwrap();
        // Announced, and nothing of it is read.
        let refused = append(&app, &mona, &begun.id, 600, Some(401), Broken(b"")).await.unwrap_err();
        assert_eq!((refused.kind, refused.kept.as_str()), (FaultKind::TooLarge, "What had come of it is kept."));
        assert_eq!(refused.document.unwrap()["offset"], 600);
        // Not announced: it is taken until it is too long.
        let refused = append(&app, &mona, &begun.id, 600, None, &[b'x'; 401][..]).await.unwrap_err();
        assert_eq!(refused.kind, FaultKind::TooLarge);
        assert_eq!(show(&app, &mona, &begun.id).await.unwrap().offset, 600);
        assert_eq!(append(&app, &mona, &begun.id, 600, Some(400), &[b'x'; 400][..]).await.unwrap().offset, 1_000);
    }

    async fn a_file_for_which_the_disk_has_no_room_is_refused(db: Database) {
        let mut app = app(db).await;
        let whole = Arc::get_mut(&mut app.app).expect("nobody else has it yet");
        whole.upload_limit = u64::MAX;
        let free = room(&app).free.expect("it is known here");
        let refused = begin(&app, &Actor::key("mona"), Some(free)).await.unwrap_err();
        assert_eq!(refused.kind, FaultKind::Unavailable);
        assert!(refused.detail.contains("needs twice its size"), "{}", refused.detail);
        begin(&app, &Actor::key("mona"), Some(free / 10)).await.unwrap();
    }

    async fn nobody_finds_another_ones_file_and_no_id_leads_elsewhere(db: Database) {
        let app = app(db).await;
        let mona = Actor::key("mona");
        let begun = begin(&app, &mona, None).await.unwrap();
        for (actor, id) in [(Actor::key("omar"), begun.id.as_str()), (mona.clone(), "../hudhud.db"), (mona.clone(), "")] {
            assert_eq!(show(&app, &actor, id).await.unwrap_err().kind, FaultKind::NotFound, "{id}");
            assert!(append(&app, &actor, id, 0, None, &b"x"[..]).await.is_err());
            assert!(open(&app, &actor, id).await.is_err());
            assert!(remove(&app, &actor, id).await.is_err());
        }
        assert_eq!(show(&app, &mona, &begun.id).await.unwrap().offset, 0);
    }

    async fn what_nobody_went_on_with_for_a_day_is_gone_and_nobody_hoards(db: Database) {
        let app = app(db).await;
        let mona = Actor::key("mona");
        let place = app.data_dir.path().join(PLACE);
        let old = begin(&app, &mona, None).await.unwrap();
        for _ in 1..MOST {
            begin(&app, &mona, None).await.unwrap();
        }
        assert_eq!(begin(&app, &mona, None).await.unwrap_err().kind, FaultKind::WrongState);
        begin(&app, &Actor::key("omar"), None).await.unwrap();
        let known = std::fs::metadata(place.join(&old.id)).unwrap();
        assert_eq!(throw_old_away(&place, touched(&known) + LASTS, &mona).await.unwrap(), MOST);
        assert_eq!(throw_old_away(&place, touched(&known) + LASTS + 3_600_000, &mona).await.unwrap(), 0);
        assert_eq!(show(&app, &mona, &old.id).await.unwrap_err().kind, FaultKind::NotFound);
    }
}
