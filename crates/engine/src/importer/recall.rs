//! What was said of files with the same header before.

use domain::csv_row::Field;

use super::header::{fingerprint, remembered};
use crate::App;
use crate::fault::Result;

/// Fields and columns as they were said of the last file whose header has these names in this order; nothing where no
/// such file was mapped by hand. Fields of consent are never among them.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn recalled(app: &App, header: &[String]) -> Result<Vec<(Field, String)>> {
    let wanted = fingerprint(header);
    let sets = app.store.header_sets().await?;
    let known = sets.into_iter().find(|(fingerprint, _)| *fingerprint == wanted);
    Ok(known.map(|(_, mapping)| remembered(&mapping)).unwrap_or_default())
}
