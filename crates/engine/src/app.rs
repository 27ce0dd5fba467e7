//! What every verb needs, put together once at the start.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use store::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::counts::Counts;
use crate::departures::Departures;
use crate::inbox::Inbox;
use crate::lists::{CountView, ListView};
use crate::queue::Redis;
use crate::scopes::Scopes;
use crate::vault::Vault;
use crate::vouchers::Vouchers;
use crate::words::OwnWords;

/// What the process hands over at the start.
#[derive(Debug)]
pub struct AppParts {
    /// The open, migrated database.
    pub store: Store,
    /// The Cloud API.
    pub graph: cloud_api::Client,
    /// Whether the Graph URL leads to this machine (a simulator): only then may a number be set to `unlimited`.
    pub graph_is_loopback: bool,
    /// Seals secrets at rest.
    pub vault: Vault,
    /// The time.
    pub clock: Clock,
    /// Where rejects, exports and the send journal are written. Created when missing.
    pub data_dir: PathBuf,
    /// How large a file may be that is uploaded, bytes.
    pub upload_limit: u64,
    /// The queue; `None` in commands that neither schedule nor send.
    pub redis: Option<Redis>,
    /// [`Store::install_id`]: tells our callback data from another installation's.
    pub install: String,
}

/// One running Hudhud, shared by every role of the process.
#[derive(Debug)]
#[non_exhaustive]
pub struct App {
    /// The database.
    pub store: Store,
    /// The Cloud API.
    pub graph: cloud_api::Client,
    /// Whether the Graph URL leads to this machine: only then may a number be set to `unlimited`.
    pub graph_is_loopback: bool,
    /// Seals secrets at rest.
    pub vault: Vault,
    /// The time.
    pub clock: Clock,
    /// Where rejects, exports and the send journal are written.
    pub data_dir: PathBuf,
    /// How large a file may be that is uploaded, bytes.
    pub upload_limit: u64,
    /// The queue; `None` in commands that neither schedule nor send.
    pub redis: Option<Redis>,
    /// [`Store::install_id`]: tells our callback data from another installation's.
    pub install: String,
    /// Wakes the planning and feeding of this process, if they wait: something was launched or resumed. A hint.
    pub scheduler_wake: Notify,
    /// Cancelled as the process begins to end: answers that would go on for ever end with it.
    pub ending: CancellationToken,
    /// Keeps webhook bodies in groups.
    pub inbox: Inbox,
    /// Which messages are on their way, and who said stop a moment ago.
    pub(crate) departures: Arc<Departures>,
    /// Whose secrets vouch for webhooks.
    pub(crate) vouchers: Vouchers,
    /// What an operator says that phrases mean.
    pub(crate) words: OwnWords,
    /// How far stops reach.
    pub(crate) scopes: Scopes,
    /// Lists with their people, where counting them takes long.
    pub(crate) list_counts: Counts<Vec<ListView>>,
    /// Audiences that somebody is choosing, where counting them takes long.
    pub(crate) audience_counts: Counts<CountView>,
    /// Campaigns whose reports this process is counting.
    pub(crate) counting: Mutex<HashSet<i64>>,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: AppParts) -> Arc<Self> {
        let AppParts { store, graph, graph_is_loopback, vault, clock, data_dir, upload_limit, redis, install } = parts;
        let (scheduler_wake, inbox, vouchers) = (Notify::new(), Inbox::default(), Vouchers::default());
        let words = OwnWords::default();
        store.blind_with(vault.erasure_key());
        Arc::new(Self {
            store,
            graph,
            graph_is_loopback,
            vault,
            clock,
            data_dir,
            upload_limit,
            redis,
            install,
            scheduler_wake,
            ending: CancellationToken::new(),
            inbox,
            departures: Arc::default(),
            vouchers,
            words,
            scopes: Scopes::default(),
            list_counts: Counts::default(),
            audience_counts: Counts::default(),
            counting: Mutex::default(),
        })
    }
}
