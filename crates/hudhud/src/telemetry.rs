//! Logs on stderr and metrics in memory: set up once, at the start of the process.

use std::io::IsTerminal;

use anyhow::Context;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Begins to log with this filter (the form of [`EnvFilter`]), on stderr: stdout is for data.
///
/// # Errors
/// When the filter cannot be parsed or the process logs already.
pub fn log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    // apalis tells at level info of every worker that it starts; a filter that names it still wins.
    let filter = EnvFilter::builder().parse(format!("apalis_core=warn,{filter}")).context("the log filter")?;
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !is_terminal,
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = if is_json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        let colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        lines.compact().with_target(false).with_ansi(colour).try_init()
    };
    begun.map_err(|error| anyhow::anyhow!("beginning to log: {error}"))
}

/// Begins to collect metrics. Render them with the handle; call its `run_upkeep` every few seconds.
///
/// # Errors
/// When the process collects metrics already.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    // Without buckets of its own a histogram becomes a summary, which cannot be added up over processes.
    let seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)
        .and_then(|builder| {
            let long = [1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 86400.0];
            builder.set_buckets_for_metric(Matcher::Full("hudhud_delivery_lag_seconds".to_owned()), &long)
        })
        .and_then(|builder| {
            // Milliseconds matter here: one transaction at a time writes to SQLite.
            let short = [
                0.000_5, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.012_5, 0.015, 0.02, 0.025, 0.03,
                0.05, 0.1, 0.25, 1.0, 5.0,
            ];
            builder.set_buckets_for_metric(Matcher::Prefix("hudhud_write_".to_owned()), &short)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .context("beginning to collect metrics")?;
    describe();
    gauge!("hudhud_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// The help text and unit of every metric. `number` is a business number's `phone_number_id`, never a phone number.
fn describe() {
    describe_gauge!("hudhud_build_info", "The version that runs, as a label");
    describe_gauge!("hudhud_queue_depth", "Sends of a business number that wait or are on their way, by state");
    describe_gauge!("hudhud_queue_oldest_age_seconds", Unit::Seconds, "Age of the oldest send that is ready to go");
    describe_gauge!(
        "hudhud_pace_limit_per_second",
        "Messages a second that a business number may send; 0 is unlimited"
    );
    describe_gauge!("hudhud_in_doubt", "Sends that may or may not have gone; none is sent again blindly");
    describe_gauge!("hudhud_ledger_ok", "1 while the ledger's chain verifies, 0 once it does not");
    describe_counter!("hudhud_send_attempts_total", "POSTs to the Cloud API by outcome");
    describe_counter!("hudhud_send_errors_total", "Refusals and failures of sending by class and code");
    describe_counter!("hudhud_message_status_total", "Statuses that webhooks brought");
    describe_counter!("hudhud_webhook_events_total", "Webhook events by type and result");
    describe_counter!("hudhud_optouts_total", "Opt-outs that took effect, by source");
    describe_counter!("hudhud_sent_after_optout_total", "Messages sent to a person after the opt-out took effect: 0");
    describe_histogram!(
        "hudhud_optout_effective_seconds",
        Unit::Seconds,
        "From a stop's arrival until nothing more starts"
    );
    describe_histogram!(
        "hudhud_http_request_duration_seconds",
        Unit::Seconds,
        "Answers of the API by route and status"
    );
    describe_histogram!(
        "hudhud_write_seconds",
        Unit::Seconds,
        "Write transactions of the database, from their first statement until they are durable, by what they are for"
    );
    describe_histogram!(
        "hudhud_write_wait_seconds",
        Unit::Seconds,
        "How long write transactions waited for their turn, by what they are for"
    );
    describe_histogram!(
        "hudhud_scheduler_round_seconds",
        Unit::Seconds,
        "Rounds of the scheduler's works, such as planning and feeding"
    );
    // A counter that was never touched is absent, and an alert on an absent series never fires.
    metrics::counter!("hudhud_sent_after_optout_total").absolute(0);
}
