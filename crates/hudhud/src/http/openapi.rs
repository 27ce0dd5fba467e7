//! `/api/openapi.json`: the API's description, made from the handlers themselves.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, Required,
    ResponseBuilder, SecurityRequirement, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::Description;
use super::access::Permission;
use super::audit::Operations;
use super::problem::{PROBLEM_JSON, Problem};
use super::routes::{self, Need};

const ABOUT: &str = "Campaigns over the WhatsApp Cloud API, self-hosted. Answers that are not a success are problem \
    documents (RFC 9457) that say what happened (`detail`), what is kept (`kept`) and what to do (`action`). Lists are \
    paged by key: pass `next` of one page as `after` of the following one. A POST with an `Idempotency-Key` is done once.";

/// The document's head, to which the routes are added.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new().title("Hudhud").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT)).build();
    OpenApiBuilder::new().info(info).build()
}

/// Adds what is true of every operation, in one place: how to sign in, the permission it needs, how it fails, and the
/// key that makes a POST safe to repeat.
pub(super) fn finish(mut document: OpenApi) -> Bytes {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    components.add_security_scheme("apikey", scheme);
    let cookie = ApiKeyValue::with_description("__Host-hudhud", "A session of the console, signed in to by a user");
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            name_by_resource(operation);
            match routes::need(&method, path) {
                Some(Need::Permission(permission)) => require(operation, Some(permission)),
                Some(Need::SignIn) => require(operation, None),
                Some(Need::Nothing) | None => operation.security = Some(Vec::new()),
            }
            if routes::answers_from_memory(&method, path) {
                operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
            }
            let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
            let response = ResponseBuilder::new().description("A problem").content(PROBLEM_JSON, problem).build();
            operation.responses.responses.insert("default".to_owned(), RefOr::T(response));
        }
    }
    Bytes::from(serde_json::to_vec(&document).expect("the description is plain data"))
}

/// Handlers are named within their module (`ls`, `create`); in the document a name must be the only one of its kind.
fn name_by_resource(operation: &mut Operation) {
    let resource = operation.tags.iter().flatten().next();
    if let (Some(resource), Some(handler)) = (resource, &operation.operation_id) {
        operation.operation_id = Some(format!("{resource}_{handler}"));
    }
}

fn require(operation: &mut Operation, permission: Option<Permission>) {
    let by = |scheme: &str| SecurityRequirement::new::<_, [&str; 0], &str>(scheme, []);
    operation.security = Some(vec![by("apikey"), by("session")]);
    let note = match permission {
        Some(permission) => format!("Needs the permission {permission:?}."),
        None => "Needs a sign-in, whatever the role.".to_owned(),
    };
    operation.description = Some(match operation.description.take() {
        Some(text) if !text.is_empty() => format!("{text}\n\n{note}"),
        _ => note,
    });
}

/// The name of each operation, as the document gives it.
pub(super) fn names(mut document: OpenApi) -> Operations {
    let mut names = Operations::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            name_by_resource(operation);
            names.insert((method, path.clone()), operation.operation_id.clone().unwrap_or_default());
        }
    }
    names
}

fn idempotency_key() -> utoipa::openapi::path::Parameter {
    let text = "Names this request: repeated with the same key it gets the first answer again and is not done twice";
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).max_length(Some(200)).build()))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (axum::http::Method, &mut Operation)> {
    use axum::http::Method;
    [
        (Method::GET, item.get.as_mut()),
        (Method::PUT, item.put.as_mut()),
        (Method::POST, item.post.as_mut()),
        (Method::DELETE, item.delete.as_mut()),
        (Method::PATCH, item.patch.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.map(|operation| (method, operation)))
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "api",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn description(State(Description(text)): State<Description>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_of_routes_and_the_description_name_the_same_operations() {
        let mut document = super::super::described().into_openapi();
        let mut described = BTreeSet::new();
        for (path, item) in &mut document.paths.paths {
            for (method, _) in operations(item) {
                described.insert(format!("{method} {path}"));
            }
        }
        let table: BTreeSet<String> =
            routes::ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        assert_eq!(described, table);
    }

    #[test]
    fn the_description_is_openapi_3_1_and_every_operation_says_how_it_fails() {
        let document: serde_json::Value = serde_json::from_slice(&super::super::description()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let content = &operation["responses"]["default"]["content"][PROBLEM_JSON];
                assert!(content.is_object(), "{method} {path}");
            }
        }
        let launch = &document["paths"]["/api/v1/campaigns/{campaign}/launch"]["post"];
        assert!(launch["security"][0]["apikey"].is_array());
        assert!(launch["parameters"].to_string().contains("Idempotency-Key"));
    }

    #[test]
    fn every_reference_in_the_description_leads_somewhere() {
        let text = super::super::description();
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        for reference in text.split(r##""$ref":"#"##).skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
        }
    }

    #[test]
    fn the_consoles_copy_of_the_description_is_current() {
        let kept = include_str!("../../../console/web/openapi.json");
        let kept: serde_json::Value = serde_json::from_str(kept).unwrap();
        let now: serde_json::Value = serde_json::from_slice(&super::super::description()).unwrap();
        assert!(kept == now, "renew it: cargo run -p hudhud -- openapi > crates/console/web/openapi.json");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document: serde_json::Value = serde_json::from_slice(&super::super::description()).unwrap();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap().to_owned();
                assert!(names.insert(name.clone()), "{name}, again at {method} {path}");
            }
        }
    }
}
