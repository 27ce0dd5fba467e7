//! Campaigns side by side: the same rates of each, with the counts that they are shares of.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{CampaignReport, Funnel, Money, report};
use crate::App;
use crate::fault::{Fault, Result};

/// So many can be read side by side.
const MOST: usize = 6;

/// Shares from 0 to 1; `null` where there is nothing to be a share of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Shares {
    /// Accepted, of those who were to get it.
    pub accepted: Option<f64>,
    /// Delivered, of the accepted.
    pub delivered: Option<f64>,
    /// Read, of the delivered.
    pub read: Option<f64>,
    /// Answered, of the delivered.
    pub replied: Option<f64>,
    /// Opted out, of the delivered.
    pub opted_out: Option<f64>,
    /// Failed, of those who were to get it.
    pub failed: Option<f64>,
}

/// One campaign of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Compared {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// As of when its sums are; `null`: they are being made. Ask again in a moment.
    pub counted_at: Option<String>,
    /// Its counts.
    pub funnel: Funnel,
    /// Its rates.
    pub shares: Shares,
    /// What its last preflight thought it would cost.
    pub estimated: Option<Money>,
    /// What it cost.
    pub actual: Vec<Money>,
    /// What one delivered message cost, where all of it is of one currency.
    pub per_delivered: Option<Money>,
}

/// Campaigns side by side, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Comparison {
    /// The campaigns.
    pub campaigns: Vec<Compared>,
}

#[expect(clippy::cast_precision_loss, reason = "counts of people, far below 2^53")]
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Shares {
    fn of(funnel: &Funnel) -> Self {
        Self {
            accepted: share(funnel.accepted, funnel.planned),
            delivered: share(funnel.delivered, funnel.accepted),
            read: share(funnel.read, funnel.delivered),
            replied: share(funnel.replied, funnel.delivered),
            opted_out: share(funnel.opted_out, funnel.delivered),
            failed: share(funnel.failed, funnel.planned),
        }
    }
}

impl Compared {
    fn of(report: CampaignReport) -> Self {
        let funnel = report.funnel;
        let actual = report.cost.actual;
        #[expect(clippy::cast_precision_loss, reason = "counts of people, far below 2^53")]
        let per_delivered = match actual.as_slice() {
            [one] if funnel.delivered > 0 => {
                Some(Money { currency: one.currency.clone(), total: one.total / funnel.delivered as f64 })
            }
            _ => None,
        };
        Self {
            id: report.id,
            name: report.name,
            state: report.state,
            counted_at: report.counted_at,
            shares: Shares::of(&funnel),
            funnel,
            estimated: report
                .cost
                .estimated
                .map(|estimate| Money { currency: estimate.0.currency, total: estimate.0.total }),
            actual,
            per_delivered,
        }
    }
}

/// Two to six campaigns side by side.
///
/// # Errors
/// `Invalid` for fewer, for more and for one that is named twice; and when one of them is not there.
#[crate::boxed]
pub async fn compare(app: &Arc<App>, names: &[String]) -> Result<Comparison> {
    if names.len() < 2 || names.len() > MOST {
        return Err(Fault::invalid(format!("Name two to {MOST} campaigns to compare.")));
    }
    let mut ids: Vec<i64> = Vec::new();
    for name in names {
        let id = crate::campaigns::find(app, name).await?;
        if ids.contains(&id) {
            return Err(Fault::invalid("One of the campaigns is named twice."));
        }
        ids.push(id);
    }
    let mut campaigns = Vec::new();
    for id in ids {
        campaigns.push(Compared::of(report(app, id).await?));
    }
    Ok(Comparison { campaigns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_none() {
        let none = Shares::of(&Funnel::default());
        assert_eq!((none.accepted, none.read), (None, None));
        let funnel = Funnel { planned: 10, accepted: 8, delivered: 4, read: 1, failed: 2, ..Funnel::default() };
        let shares = Shares::of(&funnel);
        assert_eq!(
            (shares.accepted, shares.delivered, shares.read, shares.failed, shares.replied),
            (Some(0.8), Some(0.5), Some(0.25), Some(0.2), Some(0.0))
        );
    }
}
