//! Webhook bodies are kept in groups: while one group is being committed, the next gathers. A body is acknowledged when
//! its group is durable.

use std::sync::{Mutex, PoisonError};

use store::{Arrival, Kept};
use tokio::sync::{mpsc, oneshot};

use crate::App;
use crate::fault::{Fault, Result};

/// The most bodies of one transaction.
const GROUP: usize = 64;
/// Bodies that may wait before Meta is told to come back later.
const WAITING: usize = 2_048;

type Reply = oneshot::Sender<std::result::Result<Kept, String>>;
type Waiting = (Arrival, Reply);

/// Where bodies are handed in.
#[derive(Debug, Default)]
pub struct Inbox {
    writer: Mutex<Option<mpsc::Sender<Waiting>>>,
}

impl Inbox {
    /// Keeps a body, durable when this returns.
    ///
    /// # Errors
    /// When the database is away or too many wait; Meta repeats what was not acknowledged.
    pub async fn keep(&self, app: &App, arrival: Arrival) -> Result<Kept> {
        let (reply, answer) = oneshot::channel();
        self.writer(app).try_send((arrival, reply)).map_err(|_| away("too many webhooks wait"))?;
        match answer.await {
            Ok(Ok(kept)) => Ok(kept),
            Ok(Err(reason)) => Err(away(&reason)),
            Err(_) => Err(away("the writer stopped")),
        }
    }

    /// The task that writes; a new one if there is none, or it is gone.
    fn writer(&self, app: &App) -> mpsc::Sender<Waiting> {
        let mut kept = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = kept.as_ref().filter(|writer| !writer.is_closed()) {
            return writer.clone();
        }
        let (writer, waiting) = mpsc::channel(WAITING);
        // The task must not keep the app alive: it ends with the app's sender.
        tokio::spawn(write_all(app.store.clone(), waiting));
        *kept = Some(writer.clone());
        writer
    }
}

fn away(reason: &str) -> Fault {
    Fault::unavailable(format!("The webhook could not be kept: {reason}."))
        .kept("Nothing of it was kept; it was not acknowledged.")
        .action("Meta repeats it by itself for up to seven days.")
}

async fn write_all(store: store::Store, mut waiting: mpsc::Receiver<Waiting>) {
    let mut group: Vec<Waiting> = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let (arrivals, replies): (Vec<Arrival>, Vec<Reply>) = group.drain(..).unzip();
        match store.keep_arrivals(&arrivals).await {
            Ok(kept) => {
                for (reply, kept) in replies.into_iter().zip(kept) {
                    // Whoever asked may have hung up; the body is kept all the same.
                    let _ = reply.send(Ok(kept));
                }
            }
            Err(error) if error.is_unavailable() || arrivals.len() == 1 => {
                for reply in replies {
                    let _ = reply.send(Err(error.to_string()));
                }
            }
            // One of them is what the database cannot take; the others must not suffer for it.
            Err(_) => {
                for (arrival, reply) in arrivals.iter().zip(replies) {
                    let kept = store.keep_arrivals(std::slice::from_ref(arrival)).await;
                    let one = kept.map(|mut kept| kept.pop()).map_err(|error| error.to_string());
                    let _ = reply.send(one.and_then(|kept| kept.ok_or_else(|| "nothing was kept".to_owned())));
                }
            }
        }
    }
}
