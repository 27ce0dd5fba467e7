//! Paging by key: a page begins after the last row of the one before, so that rows that come and go in between neither
//! repeat nor hide others.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Kind, Problem};

const DEFAULT: u32 = 100;
const MOST: u32 = 1000;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// `next` of the page before; absent for the first one.
    after: Option<String>,
    /// At most so many rows: 1 to 1,000, 100 if absent.
    limit: Option<u32>,
}

impl Page {
    /// The key to begin after, and how many rows.
    pub(super) fn read<K: std::str::FromStr>(&self) -> Result<(Option<K>, u32), Problem> {
        self.read_or(DEFAULT)
    }

    /// As [`Self::read`], for a list with a default of its own.
    pub(super) fn read_or<K: std::str::FromStr>(&self, limit: u32) -> Result<(Option<K>, u32), Problem> {
        let after = self.after.as_deref().map(str::parse).transpose().map_err(|_| {
            Problem::new(Kind::Unreadable, "`after` is not a cursor of this list.", "Pass `next` of the page before.")
        })?;
        Ok((after, self.limit.unwrap_or(limit).clamp(1, MOST)))
    }
}

/// A page of rows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed<T> {
    /// The rows.
    items: Vec<T>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl<T> Listed<T> {
    /// Everything there is, on one page.
    pub(super) fn all(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// One page: a full one may have a next, whose cursor is the last row's key.
    pub(super) fn page(items: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let is_full = items.len() >= limit as usize;
        let next = items.last().filter(|_| is_full).map(key);
        Self { items, next }
    }
}
