//! A running simulator and its handle.

use crate::action::{self, Inbound, InboundReceipt, RawChange, Release, TemplateChange};
use crate::fate::{self, Fate};
use crate::identity::{dialled, wa_id, wa_id_of_user};
use crate::platform::Platform;
use crate::report::{self, LedgerRow, Report};
use crate::settings::Settings;
use crate::{handshake, server, webhook};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use tokio::sync::oneshot;

/// A running simulator. It lives on a thread and a runtime of its own, so that whatever embeds it cannot hold up its
/// clock; its methods can be called from anywhere. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Simulator {
    platform: Arc<Platform>,
    addr: SocketAddr,
    control_addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    stopped: Option<oneshot::Receiver<()>>,
}

/// Starts a simulator with these settings.
///
/// # Errors
/// The settings contradict themselves, or an address cannot be bound.
pub async fn start(settings: Settings) -> anyhow::Result<Simulator> {
    let (listen, control) = (settings.listen, settings.control_listen);
    let platform = Arc::new(Platform::new(settings)?);
    let (stop, stopping) = oneshot::channel::<()>();
    let (say_stopped, stopped) = oneshot::channel::<()>();
    let (say_bound, bound) = sync_channel::<anyhow::Result<(SocketAddr, SocketAddr)>>(1);
    let inside = platform.clone();
    std::thread::Builder::new()
        .name("simulator".into())
        .spawn(move || {
            let run = async {
                let graph = server::bind(listen).with_context(|| format!("cannot bind {listen}"))?;
                let control = server::bind(control).with_context(|| format!("cannot bind {control}"))?;
                let addrs = (graph.local_addr()?, control.local_addr()?);
                // In this order: whoever reaches the Graph API may expect its webhooks.
                tokio::spawn(webhook::post::deliver(inside.clone()));
                tokio::spawn(server::control_listener(inside.clone(), control));
                tokio::spawn(server::graph_listener(inside, graph, addrs.0));
                // Lets the listeners begin to listen before anybody is told where.
                tokio::task::yield_now().await;
                anyhow::Ok(addrs)
            };
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let bound = runtime.block_on(run);
                    let failed = bound.is_err();
                    // Nobody listens only when the starter itself is gone.
                    let _ = say_bound.send(bound);
                    if !failed {
                        let _ = runtime.block_on(stopping);
                    }
                    runtime.shutdown_background();
                }
                Err(error) => {
                    let _ = say_bound.send(Err(error.into()));
                }
            }
            let _ = say_stopped.send(());
        })
        .context("cannot start the simulator's thread")?;
    // Binding takes no longer than a system call, so blocking here is harmless.
    let (addr, control_addr) = bound.recv().context("the simulator's thread ended early")??;
    Ok(Simulator { platform, addr, control_addr, stop: Some(stop), stopped: Some(stopped) })
}

impl Simulator {
    /// Where the Graph API listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The Graph API's base: `http://127.0.0.1:PORT`, to which `/v26.0/…` is appended.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where the control API answers even in an outage; `/_sim/…` is appended.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control_addr)
    }

    /// What it saw so far. With a million messages this takes a few hundred milliseconds of the calling thread.
    #[must_use]
    pub fn report(&self) -> Report {
        report::report(&self.platform)
    }

    /// Up to `limit` rows of the ledger after `seq`, at most 20,000 at once.
    #[must_use]
    pub fn messages(&self, after: u32, limit: usize) -> Vec<LedgerRow> {
        report::messages(&self.platform, after, limit)
    }

    /// The whole ledger.
    #[must_use]
    pub fn all_messages(&self) -> Vec<LedgerRow> {
        let mut all = Vec::new();
        loop {
            let page = self.messages(u32::try_from(all.len()).unwrap_or(u32::MAX), usize::MAX);
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// The settings as they stand.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.platform.world().settings.clone()
    }

    /// Changes settings while it runs, from the next request on.
    ///
    /// # Errors
    /// What [`Settings::check`] refuses, or a change of the addresses; nothing is changed then.
    pub fn update(&self, change: impl FnOnce(&mut Settings)) -> anyhow::Result<()> {
        self.platform.change(|old| {
            let mut new = old.clone();
            change(&mut new);
            new.check()?;
            Ok(new)
        })
    }

    /// Applies a JSON merge patch, as `PUT /_sim/settings` does.
    ///
    /// # Errors
    /// What [`Settings::patched`] refuses; nothing is changed then.
    pub fn patch(&self, patch: &serde_json::Value) -> anyhow::Result<()> {
        self.platform.change(|old| old.patched(patch))
    }

    /// What becomes of a message to this recipient (a number with `+`, or a user id) with this template.
    ///
    /// # Errors
    /// The recipient or the template cannot be found.
    pub fn fate(&self, to: &str, template: &str, language: &str) -> anyhow::Result<Fate> {
        fate(&self.platform, to, template, language, None)
    }

    /// Lets a person act now.
    ///
    /// # Errors
    /// No webhook is set, or the person, business number or button cannot be found.
    pub fn inbound(&self, inbound: &Inbound) -> anyhow::Result<InboundReceipt> {
        action::inbound(&self.platform, inbound)
    }

    /// Lets all held messages go and returns how many there were.
    #[must_use]
    pub fn release(&self, how: Release) -> usize {
        action::release(&self.platform, how)
    }

    /// Changes a template's status and tells the webhook.
    ///
    /// # Errors
    /// There is no such template.
    pub fn change_template(&self, change: &TemplateChange) -> anyhow::Result<()> {
        action::change_template(&self.platform, change)
    }

    /// Delivers any change to the webhook.
    ///
    /// # Errors
    /// No webhook is set, or the account is unknown.
    pub fn raw_change(&self, change: &RawChange) -> anyhow::Result<()> {
        action::raw_change(&self.platform, change)
    }

    /// Makes the handshake with the webhook, as Meta does when one is set up.
    ///
    /// # Errors
    /// Anything but a 200 that echoes the challenge.
    pub async fn handshake(&self, verify_token: &str) -> anyhow::Result<()> {
        handshake::subscribe(&self.platform, verify_token).await
    }

    /// Forgets what arrived and what was to follow; the settings stay.
    pub fn reset(&self) {
        self.platform.reset();
    }

    /// Stops it and waits until its sockets are closed.
    pub async fn stop(mut self) {
        self.stop.take();
        if let Some(stopped) = self.stopped.take() {
            // An error means that the thread has ended already.
            let _ = stopped.await;
        }
    }
}

/// What becomes of a message; see [`Simulator::fate`].
pub(crate) fn fate(
    platform: &Platform,
    to: &str,
    template: &str,
    language: &str,
    phone_number_id: Option<&str>,
) -> anyhow::Result<Fate> {
    let world = platform.world();
    let settings = &world.settings;
    let who = wa_id_of_user(settings.seed, to)
        .or_else(|| dialled(to).filter(|d| d.plus).map(|d| wa_id(d.digits)))
        .context("to: neither a phone number with + nor a user id of this simulator")?;
    let found = (0..settings.accounts.len()).find_map(|account| world.template(account, template, language).ok());
    let template = found.with_context(|| format!("there is no template {template} in {language}"))?;
    Ok(fate::whole(settings, who, template, phone_number_id.unwrap_or_default()))
}
