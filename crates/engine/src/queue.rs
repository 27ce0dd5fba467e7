//! The queue in Redis, through apalis: coarse tasks only, each naming one batch. The only room that names apalis and
//! redis.
//!
//! Redis is a hint. A task that is lost is pushed again by the lane that misses its batch, a task that is doubled finds
//! its batch in hand or gone. So the settings here choose liveness over delivery guarantees; the numbers behind them
//! are in `docs/decisions/0002-queue.md`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use apalis::prelude::{BackendExt, TaskSink, WorkerBuilder, WorkerBuilderExt};
use apalis_redis::{Config, RedisStorage};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio_util::sync::CancellationToken;

/// How many batches a lane holds at once: enough for ten campaigns to take turns, however slow some of them are.
pub const BATCHES_IN_HAND: usize = 32;
/// How often an idle lane asks Redis.
const POLL: Duration = Duration::from_millis(50);
/// A worker that has not shown itself for three of these is taken for dead by apalis.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// redis-rs gives up after half a second by default, which a busy machine exceeds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a lane does with a batch id. It must not fail: SQL knows what became of the batch.
pub type OnBatch = Arc<dyn Fn(i64) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The private connection to Redis of one process. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    prefix: String,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Redis {
    /// Prepares the connection: `redis://…`, `rediss://…` or `redis+unix:///…`. Connects at the first use, and again
    /// whenever the connection broke.
    ///
    /// `install` keeps the keys of several Hudhuds on one Redis apart.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn open(url: &str, install: &str) -> anyhow::Result<Self> {
        let client = redis::Client::open(url).context("HUDHUD_REDIS_URL is not a Redis URL")?;
        let settings = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500));
        let connection = ConnectionManager::new_lazy_with_config(client, settings).context("preparing Redis")?;
        Ok(Self { connection, prefix: format!("hudhud:{install}") })
    }

    /// Answers when Redis does.
    ///
    /// # Errors
    /// When it cannot be reached.
    #[crate::boxed]
    pub async fn ping(&self) -> anyhow::Result<()> {
        let mut connection = self.connection.clone();
        let ping = async { redis::cmd("PING").query_async::<String>(&mut connection).await };
        tokio::time::timeout(Duration::from_secs(2), ping).await.context("Redis does not answer")??;
        Ok(())
    }

    fn queue(&self, number_id: i64) -> String {
        format!("{}:lane:{number_id}", self.prefix)
    }

    fn storage(&self, number_id: i64) -> RedisStorage<i64> {
        RedisStorage::new(self.connection.clone()).with_config(settings(&self.queue(number_id)))
    }

    /// Pushes the tasks of these batches to their lane.
    ///
    /// # Errors
    /// When Redis cannot be reached or refuses; the batches stay open in SQL.
    #[crate::boxed]
    pub async fn push(&self, number_id: i64, batch_ids: &[i64]) -> anyhow::Result<()> {
        let mut storage = self.storage(number_id);
        storage.push_bulk(batch_ids.to_vec()).await.map_err(|error| anyhow::anyhow!("pushing to Redis: {error}"))
    }

    /// Forgets every key of a lane's queue. A lane's new owner starts from what SQL says.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    #[crate::boxed]
    pub async fn clear(&self, number_id: i64) -> anyhow::Result<()> {
        let mut connection = self.connection.clone();
        let pattern = format!("{}:*", self.queue(number_id));
        let mut cursor: u64 = 0;
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(500)
                .query_async(&mut connection)
                .await?;
            if !keys.is_empty() {
                redis::cmd("UNLINK").arg(&keys).query_async::<i64>(&mut connection).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Removes what apalis keeps of finished tasks. Its own vacuum also takes tasks that wait for a retry, and leaves
    /// the set of the done to grow for ever.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    #[crate::boxed]
    pub async fn tidy(&self, number_id: i64) -> anyhow::Result<()> {
        let config = settings(&self.queue(number_id));
        let mut connection = self.connection.clone();
        for set in [config.done_jobs_set(), config.dead_jobs_set()] {
            loop {
                let ids: Vec<String> = redis::cmd("SPOP").arg(&set).arg(200).query_async(&mut connection).await?;
                if ids.is_empty() {
                    break;
                }
                let mut pipe = redis::pipe();
                for id in &ids {
                    pipe.hdel(config.job_data_hash(), id).ignore();
                    pipe.del(format!("{}:{id}", config.job_meta_hash())).ignore();
                }
                pipe.query_async::<()>(&mut connection).await?;
            }
        }
        Ok(())
    }

    /// Takes tasks of a lane until `shutdown`, or until Redis fails, which apalis answers by stopping its worker: the
    /// caller starts a new one after a pause.
    ///
    /// # Errors
    /// When Redis cannot be reached or lost what apalis knew there.
    pub fn take(
        &self,
        number_id: i64,
        worker: &str,
        on_batch: OnBatch,
        shutdown: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> {
        let handler = move |batch_id: i64| {
            let on_batch = Arc::clone(&on_batch);
            async move { on_batch(batch_id).await }
        };
        let worker = WorkerBuilder::new(worker)
            .backend(self.storage(number_id).poll_with_interval(POLL))
            .concurrency(BATCHES_IN_HAND)
            .build(handler);
        // Boxed here, where its type is known: inside an async block the compiler cannot prove that it may move
        // between threads.
        let run: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(worker.run());
        Box::pin(async move {
            tokio::select! {
                ended = run => ended.map_err(|error| anyhow::anyhow!("the queue's worker stopped: {error}")),
                () = shutdown.cancelled() => Ok(()),
            }
        })
    }
}

fn settings(queue: &str) -> Config {
    Config::default()
        .queue(queue)
        .batch_size(BATCHES_IN_HAND)
        .heartbeat_interval(HEARTBEAT)
        .missed_heartbeats(3)
        .lock_tasks(false)
        .persist_results(false)
        .emit_events(false)
        .idempotency_ttl(Some(Duration::from_secs(3600)))
}
