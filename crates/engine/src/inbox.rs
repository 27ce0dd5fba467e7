//! Webhook bodies are kept in groups: while one group is being committed, the next gathers. A body is acknowledged when
//! its group is durable.

use std::sync::Arc;

use store::{Arrival, Kept};
use tokio::sync::{OnceCell, mpsc, oneshot};

use crate::App;
use crate::fault::{Fault, Result};

/// The most bodies of one transaction.
const GROUP: usize = 64;
/// Bodies that may wait before Meta is told to come back later.
const WAITING: usize = 2_048;

type Reply = oneshot::Sender<std::result::Result<Kept, String>>;

/// Where bodies are handed in.
#[derive(Debug, Default)]
pub struct Inbox {
    writer: OnceCell<mpsc::Sender<(Arrival, Reply)>>,
}

impl Inbox {
    /// Keeps a body, durable when this returns.
    ///
    /// # Errors
    /// When the database is away or too many wait; Meta repeats what was not acknowledged.
    pub async fn keep(&self, app: &Arc<App>, arrival: Arrival) -> Result<Kept> {
        let writer = self
            .writer
            .get_or_init(|| async {
                let (writer, waiting) = mpsc::channel(WAITING);
                // The task must not keep the app alive: it ends with the app's sender.
                tokio::spawn(write_all(app.store.clone(), waiting));
                writer
            })
            .await;
        let (reply, answer) = oneshot::channel();
        writer.try_send((arrival, reply)).map_err(|_| away("too many webhooks wait"))?;
        match answer.await {
            Ok(Ok(kept)) => Ok(kept),
            Ok(Err(reason)) => Err(away(&reason)),
            Err(_) => Err(away("the writer stopped")),
        }
    }
}

fn away(reason: &str) -> Fault {
    Fault::unavailable(format!("The webhook could not be kept: {reason}."))
        .kept("Nothing of it was kept; it was not acknowledged.")
        .action("Meta repeats it by itself for up to seven days.")
}

async fn write_all(store: store::Store, mut waiting: mpsc::Receiver<(Arrival, Reply)>) {
    let mut group: Vec<(Arrival, Reply)> = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let (arrivals, replies): (Vec<Arrival>, Vec<Reply>) = group.drain(..).unzip();
        match store.keep_arrivals(&arrivals).await {
            Ok(kept) => {
                for (reply, kept) in replies.into_iter().zip(kept) {
                    // Whoever asked may have hung up; the body is kept all the same.
                    let _ = reply.send(Ok(kept));
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.to_string()));
                }
            }
        }
    }
}
