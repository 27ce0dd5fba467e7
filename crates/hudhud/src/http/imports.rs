//! `/api/v1/imports`. An import's body is the file itself, streamed; everything else is in the query string.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::importer::{self, Hints, ImportOrder};
use engine::imports::{self, ImportSummary, ImportView, UndoneView};
use engine::{Actor, App, Fault, uploads};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::io::{ReaderStream, StreamReader};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path, Query};
use super::page::{Listed, Page};
use super::problem::Problem;
use super::uploads::announced;

/// Everything but the upload itself, which has a body limit of its own.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(paths!(ls))
        .routes(paths!(show))
        .routes(paths!(rejects))
        .routes(paths!(undo))
        .routes(paths!(recall))
}

/// What a file is and where it goes. Documents the query string; it is read by hand because `map` may be repeated.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read only by the derive, for the API's description")]
struct ImportParams {
    /// The list its people go to; made if it is not there.
    list: String,
    /// Where their consent comes from, in words.
    opt_in_source: String,
    /// The words in which they were asked.
    opt_in_wording: Option<String>,
    /// When they consented: RFC 3339, or `@COLUMN`.
    opt_in_at: String,
    /// The country of numbers without a country code, ISO 3166 alpha-2.
    region: Option<String>,
    /// `field=column`, where the header does not tell; fields are phone, user_id, name, language, country, time_zone,
    /// opt_in_at, opt_in_source, opt_in_wording. May be repeated. Remembered for files with the same header.
    map: Option<String>,
    /// The file's encoding by its WHATWG label, if it should not be found out.
    encoding: Option<String>,
    /// What separates the cells, if it should not be found out.
    delimiter: Option<String>,
    /// The sheet of a spreadsheet; without it, the first that holds a table.
    sheet: Option<String>,
    /// `yes` or `no`: whether the first row names the columns, if it should not be found out.
    header: Option<String>,
    /// `dmy` or `mdy`: which of 03/04/2026 is the day. Without it such a date is rejected.
    date_order: Option<String>,
    /// Whose wall clock shows the times without an offset, as `Africa/Cairo`; without it UTC.
    time_zone: Option<String>,
    /// The language of the rejects' reasons: `en`, `ar` or `es`.
    lang: Option<String>,
    /// The file's name, for the record.
    file_name: Option<String>,
    /// Check every row and keep nothing.
    dry_run: Option<bool>,
    /// A file that came in pieces, by its id: it is read in place of the body, and gone once it was imported.
    upload: Option<String>,
}

/// Reads the query string. A parameter that nobody knows is refused: a misspelt `region` must not be passed over.
fn order(query: Vec<(String, String)>, actor: Actor) -> Result<(ImportOrder, Option<String>), Fault> {
    let mut upload = None;
    let mut order = ImportOrder {
        list: String::new(),
        file_name: String::new(),
        region: None,
        mapping: Vec::new(),
        opt_in_source: String::new(),
        opt_in_wording: String::new(),
        opt_in_at: None,
        encoding: None,
        delimiter: None,
        hints: Hints::default(),
        dry_run: false,
        actor,
    };
    for (key, value) in query {
        match key.as_str() {
            "list" => order.list = value,
            "file_name" => order.file_name = value,
            "upload" => upload = Some(value),
            "region" => order.region = Some(value),
            "opt_in_source" => order.opt_in_source = value,
            "opt_in_wording" => order.opt_in_wording = value,
            "opt_in_at" => order.opt_in_at = Some(value.parse()?),
            "encoding" => order.encoding = Some(value),
            "delimiter" => order.delimiter = Some(value),
            "sheet" => order.hints.sheet = Some(value),
            "header" => {
                order.hints.header = Some(match value.as_str() {
                    "yes" | "true" => true,
                    "no" | "false" => false,
                    _ => return Err(Fault::invalid("The parameter header is yes or no.")),
                });
            }
            "date_order" => order.hints.date_order = Some(value),
            "time_zone" => order.hints.time_zone = Some(value),
            "lang" => order.hints.lang = Some(value),
            "dry_run" => {
                order.dry_run = value.parse().map_err(|_| Fault::invalid("The parameter dry_run is true or false."))?;
            }
            "map" => match value.split_once('=') {
                Some((field, column)) => order.mapping.push((field.to_owned(), column.to_owned())),
                None => return Err(Fault::invalid("The parameter map looks like field=column.")),
            },
            _ => return Err(Fault::invalid(format!("There is no parameter {key:?} of an import."))),
        }
    }
    Ok((order, upload))
}

/// Imports a file, which is the body: CSV or TSV in any encoding, XLSX, XLSB, XLS or ODS, packed with gzip or not. Answers when all of it is stored; nothing is sent to anybody.
#[utoipa::path(post, path = "/api/v1/imports", tag = "imports", params(ImportParams),
    request_body(content = String, content_type = "text/csv", description = "The file, as it is"),
    responses((status = 200, description = "What came of it", body = ImportSummary)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<ImportSummary>), Problem> {
    let (order, upload) = order(query, caller.actor.clone())?;
    // In a task of its own: a caller who goes away ends the file, and the import must still write down how far it came.
    let imported = match upload {
        None => {
            uploads::admit(&app, announced(&headers), 0)?;
            let file = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
            tokio::spawn(async move { uploads::import(&app, order, file).await })
        }
        Some(id) => {
            let file = uploads::open(&app, &caller.actor, &id).await?;
            tokio::spawn(async move {
                let only_looks = order.dry_run;
                let summary = importer::import(&app, order, file, |_| {}).await?;
                if !only_looks && let Err(fault) = uploads::remove(&app, &caller.actor, &id).await {
                    tracing::warn!(%fault, "a file that was imported stays until tomorrow");
                }
                Ok(summary)
            })
        }
    };
    let summary = imported.await.map_err(Fault::internal)??;
    Ok((StatusCode::OK, Json(summary)))
}

/// The header of a file that is about to be imported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HeaderBody {
    /// The names of its columns, in their order.
    header: Vec<String>,
}

/// What the columns of the last file with the same header were said to be.
#[derive(Debug, Serialize, ToSchema)]
struct Recalled {
    /// The column of each field that was said by hand: `phone`, `name`, …; empty where no such file was mapped.
    columns: BTreeMap<String, String>,
}

/// What was said of the last file that had the same header, so that a file of a kind is mapped once. Changes nothing.
#[utoipa::path(post, path = "/api/v1/imports/recall", tag = "imports", request_body = HeaderBody,
    responses((status = 200, description = "Fields and columns", body = Recalled)))]
async fn recall(State(app): State<Arc<App>>, Json(body): Json<HeaderBody>) -> Result<Json<Recalled>, Problem> {
    let known = importer::recalled(&app, &body.header).await?;
    // By the names that this file has, in their own spelling.
    let spelt = |column: String| body.header.iter().find(|name| same(name, &column)).cloned().unwrap_or(column);
    let columns = known.into_iter().map(|(field, column)| (field.to_string(), spelt(column))).collect();
    Ok(Json(Recalled { columns }))
}

/// Whether two columns are called the same but for case and blanks.
fn same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// Imports, newest first.
#[utoipa::path(get, path = "/api/v1/imports", tag = "imports", params(Page),
    responses((status = 200, description = "A page of them", body = Listed<ImportView>)))]
async fn ls(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Result<Json<Listed<ImportView>>, Problem> {
    let (before, limit) = page.read()?;
    let rows = imports::ls(&app, before, i64::from(limit)).await?;
    Ok(Json(Listed::page(rows, limit, |import| import.summary.import_id.unwrap_or_default().to_string())))
}

/// One import.
#[utoipa::path(get, path = "/api/v1/imports/{import}", tag = "imports",
    params(("import" = i64, Path, description = "The import's id")),
    responses((status = 200, description = "The import", body = ImportView)))]
async fn show(State(app): State<Arc<App>>, Path(import): Path<i64>) -> Result<Json<ImportView>, Problem> {
    Ok(Json(imports::show(&app, import).await?))
}

/// Takes an import back, as long as no campaign has used it: the people whom it alone brought leave, the ones whom it
/// changed are what they were, and whomever later imports brought, too, stays and is counted. Refused, with their names,
/// when campaigns have used it since.
#[utoipa::path(post, path = "/api/v1/imports/{import}/undo", tag = "imports",
    params(("import" = i64, Path, description = "The import's id")),
    responses((status = 200, description = "What was taken back", body = UndoneView)))]
async fn undo(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(import): Path<i64>,
) -> Result<Json<UndoneView>, Problem> {
    // In a task of its own: a caller who goes away does not leave it half done.
    let task = tokio::spawn(async move { imports::undo(&app, import, &caller.actor).await });
    Ok(Json(task.await.map_err(Fault::internal)??))
}

/// The rows that an import rejected, as CSV: the original columns, then line, column, value, code and reason.
#[utoipa::path(get, path = "/api/v1/imports/{import}/rejects", tag = "imports",
    params(("import" = i64, Path, description = "The import's id")),
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv")))]
async fn rejects(State(app): State<Arc<App>>, caller: Caller, Path(import): Path<i64>) -> Result<Response, Problem> {
    let path = imports::rejects(&app, import).await?;
    let file = tokio::fs::File::open(&path).await.map_err(|error| {
        Fault::unavailable(format!("The file of rejected rows cannot be read: {}.", error.kind())).because(error)
    })?;
    tracing::info!(actor = %caller.actor, import_id = import, "rejected rows read");
    let name = format!("attachment; filename=\"import-{import}-rejects.csv\"");
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &[(&str, &str)]) -> Result<ImportOrder, Fault> {
        let query = query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        order(query, Actor::system()).map(|(order, _)| order)
    }

    #[test]
    fn a_mapping_may_be_repeated_and_a_column_may_hold_an_equals_sign() {
        let order = read(&[("list", "eid"), ("map", "phone=Tel=Mob"), ("map", "name=Nom")]).unwrap();
        assert_eq!(order.mapping, [("phone".to_owned(), "Tel=Mob".to_owned()), ("name".to_owned(), "Nom".to_owned())]);
    }

    #[test]
    fn a_parameter_that_nobody_knows_or_cannot_be_read_is_refused_by_name() {
        for (key, value) in
            [("regoin", "EG"), ("dry_run", "yes"), ("map", "phone"), ("opt_in_at", "yesterday"), ("header", "1")]
        {
            assert!(read(&[("list", "eid"), (key, value)]).is_err(), "{key}={value}");
        }
    }
}
