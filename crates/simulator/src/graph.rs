//! The Graph API's routes.

use crate::chance::{Draw, Salt, mix};
use crate::clock::duration;
use crate::fate::Fault;
use crate::intake::{self, Arrival, Verdict};
use crate::platform::Platform;
use crate::refusal::{Refusal, http_status};
use crate::reply::{self, Answer, Severed};
use crate::settings::{Account, Outage};
use crate::world::{BusinessNumber, World};
use bytes::Bytes;
use http::{Method, Response, StatusCode, header, request::Parts};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// A request that was read.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    pub(crate) first_byte_us: i64,
    /// The how-manieth request this is.
    pub(crate) serial: u64,
    /// Our own address, for links when the caller named no host.
    pub(crate) addr: SocketAddr,
}

/// Answers one request, unless an outage or a fault keeps the answer back.
pub(crate) async fn answer(platform: Arc<Platform>, call: Call) -> Result<Response<Answer>, Severed> {
    let outage = *platform.outage.borrow();
    match outage {
        Outage::None => {}
        Outage::Unavailable => return Ok(reply::html(StatusCode::SERVICE_UNAVAILABLE)),
        Outage::Refused => return Err(Severed),
        Outage::Hanging => {
            // The sender of the outage lives as long as the platform, so this ends with the outage or the process.
            let _ = platform.outage.subscribe().wait_for(|now| *now != Outage::Hanging).await;
            return Err(Severed);
        }
    }
    let world = platform.world();
    let path: Vec<&str> = call.head.uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let path = match path.split_first() {
        Some((version, rest)) if is_version(version) => rest,
        _ => &path[..],
    };
    match (&call.head.method, path) {
        (&Method::POST, [number, "messages"]) => match open_number(&world, &call, number) {
            Ok(number) => message(platform, &world, number, call).await,
            Err(refusal) => Ok(refused(&platform, &refusal, call.serial)),
        },
        (method, path) => {
            let answer = managed(&world, method, path, &call);
            wait(world.settings.latency_ms.at_us(chance(&world, call.serial, Salt::Latency))).await;
            Ok(answer.unwrap_or_else(|refusal| refused(&platform, &refusal, call.serial)))
        }
    }
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v').and_then(|rest| rest.split_once('.')).is_some_and(|(major, minor)| {
        [major, minor].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// A number in `0.0..1.0` that belongs to one request.
fn chance(world: &World, serial: u64, salt: Salt) -> f64 {
    Draw::new(mix(serial ^ mix(world.settings.seed))).unit(salt)
}

async fn wait(us: i64) {
    if us > 0 {
        tokio::time::sleep(duration(us)).await;
    }
}

fn refused(platform: &Platform, refusal: &Refusal, serial: u64) -> Response<Answer> {
    if matches!(refusal.code, 100 | 104 | 190) {
        *platform.state().tally.refused_by_code.entry(refusal.code).or_insert(0) += 1;
    }
    envelope(refusal, serial)
}

fn envelope(refusal: &Refusal, serial: u64) -> Response<Answer> {
    let status = StatusCode::from_u16(http_status(refusal.code)).unwrap_or(StatusCode::BAD_REQUEST);
    reply::json(status, refusal.envelope(mix(serial)))
}

/// Takes a message in: jitter, arrival, verdict, latency, answer.
async fn message(
    platform: Arc<Platform>,
    world: &Arc<World>,
    number: Arc<BusinessNumber>,
    call: Call,
) -> Result<Response<Answer>, Severed> {
    let settings = &world.settings;
    let verdict = if settings.jitter_ms.is_zero() {
        let arrival = Arrival { first_byte_us: call.first_byte_us, at_us: platform.clock.now_us() };
        intake::take_in(&platform, world, &number, arrival, &call.body)
    } else {
        // What was read has left the caller: it arrives even if the caller dies meanwhile, hence a task of its own.
        let jitter_us = settings.jitter_ms.at_us(chance(world, call.serial, Salt::Jitter));
        let (platform, world, body) = (platform.clone(), world.clone(), call.body.clone());
        let task = tokio::spawn(async move {
            wait(jitter_us).await;
            let arrival = Arrival { first_byte_us: call.first_byte_us, at_us: platform.clock.now_us() };
            intake::take_in(&platform, &world, &number, arrival, &body)
        });
        task.await.map_err(|_| Severed)?
    };
    wait(settings.latency_ms.at_us(chance(world, call.serial, Salt::Latency))).await;
    match verdict {
        Verdict::Refused(refusal) => Ok(envelope(&refusal, call.serial)),
        Verdict::Accepted { body, fault: None } => Ok(reply::json(StatusCode::OK, body)),
        Verdict::Accepted { body, fault: Some(Fault::TruncatedResponse) } => Ok(reply::cut(body)),
        Verdict::Accepted { fault: Some(Fault::Unanswered), .. } => std::future::pending().await,
        Verdict::TurnedAway(Fault::Redirect) => {
            let path = call.head.uri.path_and_query().map_or("/", |path| path.as_str());
            Ok(reply::redirect(&format!("{}{path}", origin(&call))))
        }
        Verdict::TurnedAway(Fault::BadGateway) => Ok(reply::html(StatusCode::BAD_GATEWAY)),
        Verdict::Accepted { fault: Some(_), .. } | Verdict::TurnedAway(_) => Err(Severed),
    }
}

fn origin(call: &Call) -> String {
    let host = call.head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.map_or_else(|| format!("http://{}", call.addr), |host| format!("http://{host}"))
}

/// Which accounts a request may see: the missing or wrong token is a refusal.
fn allowed<'a>(world: &'a World, call: &Call) -> Result<impl Fn(&Account) -> bool + use<'a>, Refusal> {
    let given = call
        .head
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")))
        .map(str::trim)
        .filter(|token| !token.is_empty())
        .map(str::to_owned);
    let Some(given) = given else {
        return Err(Refusal::new(104, "An access token is required to request this resource."));
    };
    let opens = move |account: &Account| account.access_token.is_empty() || account.access_token == given;
    if !world.settings.accounts.iter().any(&opens) {
        return Err(Refusal::new(190, "Invalid OAuth access token - Cannot parse access token"));
    }
    Ok(opens)
}

/// What Meta says of an object that is not there or not visible: the two are told apart by nobody.
fn no_such_object(method: &Method, id: &str) -> Refusal {
    let verb = if method == Method::POST { "post" } else { "get" };
    Refusal {
        code: 100,
        subcode: Some(33),
        details: format!(
            "Unsupported {verb} request. Object with ID '{id}' does not exist, cannot be loaded due to missing \
             permissions, or does not support this operation. Please read the Graph API documentation at \
             https://developers.facebook.com/docs/graph-api"
        ),
    }
}

fn open_number(world: &World, call: &Call, id: &str) -> Result<Arc<BusinessNumber>, Refusal> {
    let opens = allowed(world, call)?;
    world
        .number(id)
        .filter(|number| world.settings.accounts.get(number.account).is_some_and(&opens))
        .cloned()
        .ok_or_else(|| no_such_object(&call.head.method, id))
}

/// Everything that is not sending.
fn managed(world: &World, method: &Method, path: &[&str], call: &Call) -> Result<Response<Answer>, Refusal> {
    let opens = allowed(world, call)?;
    let account = |id: &str| {
        world
            .account(id)
            .map(|(_, account)| account)
            .filter(|account| opens(account))
            .ok_or_else(|| no_such_object(method, id))
    };
    let fields = query(call, "fields");
    let fields = fields.as_deref();
    let document = match (method, path) {
        (&Method::GET, [waba, "phone_numbers"]) => {
            let account = account(waba)?;
            let numbers: Vec<Value> =
                account.numbers.iter().filter_map(|n| world.number(&n.id)).map(|n| number_fields(n, fields)).collect();
            page(call, &numbers, usize::MAX)?
        }
        (&Method::GET, [waba, "message_templates"]) => {
            let account = account(waba)?;
            let templates: Vec<Value> = account.templates.iter().map(|t| template_fields(t, fields)).collect();
            page(call, &templates, world.settings.template_page_max)?
        }
        (&Method::POST | &Method::DELETE, [waba, "subscribed_apps"]) => {
            account(waba)?;
            json!({"success": true})
        }
        (&Method::GET, [waba, "subscribed_apps"]) => {
            account(waba)?;
            json!({"data": [{"whatsapp_business_api_data": {"id": "400100000000001", "name": "simulated app"}}]})
        }
        (&Method::GET, ["debug_token"]) => token_details(world, query(call, "input_token").as_deref())?,
        (&Method::GET, [id]) => match world.number(id) {
            Some(_) => number_fields(&*open_number(world, call, id)?, fields),
            None => {
                let account = account(id)?;
                json!({"id": account.waba_id, "name": account.name, "currency": "USD", "timezone_id": "1"})
            }
        },
        (_, [id, ..]) => return Err(no_such_object(method, id)),
        (_, []) => return Err(Refusal::new(100, "Unknown path components")),
    };
    let mut response = reply::json(StatusCode::OK, document.to_string());
    let usage = header::HeaderValue::from_static("{\"call_count\":1,\"total_cputime\":1,\"total_time\":1}");
    response.headers_mut().insert("x-app-usage", usage);
    Ok(response)
}

/// What the platform says of a token.
fn token_details(world: &World, token: Option<&str>) -> Result<Value, Refusal> {
    let token = token.ok_or_else(|| Refusal::new(100, "The parameter input_token is required"))?;
    let found = world.settings.accounts.iter().find(|a| a.access_token.is_empty() || a.access_token == token);
    Ok(match found {
        Some(account) => json!({"data": {
            "app_id": "400100000000001", "type": "SYSTEM_USER", "application": "simulated app", "is_valid": true,
            "expires_at": account.token_expires_at, "scopes": account.scopes,
        }}),
        None => json!({"data": {
            "is_valid": false, "scopes": [],
            "error": {"code": 190, "message": "The access token could not be decrypted", "subcode": 463},
        }}),
    })
}

/// A parameter of the query, with `%XX` and `+` undone.
fn query(call: &Call, name: &str) -> Option<String> {
    let pairs = call.head.uri.query()?.split('&');
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Cuts a page out of a list, with Meta's cursors and an absolute `next` while more follows.
fn page(call: &Call, items: &[Value], longest: usize) -> Result<Value, Refusal> {
    let limit = match query(call, "limit") {
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| Refusal::new(100, "Invalid parameter: limit"))?,
        None => 25,
    };
    let from = match query(call, "after") {
        Some(cursor) => {
            position(&cursor).ok_or_else(|| Refusal::new(100, "Invalid parameter: after is not a cursor"))? + 1
        }
        None => 0,
    };
    let to = from.saturating_add(limit.min(longest)).min(items.len());
    let data = items.get(from..to).unwrap_or_default();
    if data.is_empty() {
        return Ok(json!({"data": []}));
    }
    let mut paging = json!({"cursors": {"before": cursor(from), "after": cursor(to - 1)}});
    if to < items.len() {
        let fields = query(call, "fields").map_or_else(String::new, |fields| format!("&fields={fields}"));
        let path = call.head.uri.path();
        paging["next"] = json!(format!("{}{path}?limit={limit}{fields}&after={}", origin(call), cursor(to - 1)));
    }
    Ok(json!({"data": data, "paging": paging}))
}

fn cursor(position: usize) -> String {
    hex::encode(format!("cursor:{position}"))
}

fn position(cursor: &str) -> Option<usize> {
    let bytes = hex::decode(cursor).ok()?;
    std::str::from_utf8(&bytes).ok()?.strip_prefix("cursor:")?.parse().ok()
}

/// Keeps the fields that were asked for, and the id.
fn select(mut all: Value, fields: Option<&str>, default: &str) -> Value {
    let wanted: Vec<&str> = fields.unwrap_or(default).split(',').map(str::trim).collect();
    if let Some(object) = all.as_object_mut() {
        object.retain(|key, _| key == "id" || wanted.contains(&key.as_str()));
    }
    all
}

fn number_fields(number: &BusinessNumber, fields: Option<&str>) -> Value {
    let n = &number.number;
    let level = if number.rate.is_none_or(|rate| rate > 80) { "HIGH" } else { "STANDARD" };
    let all = json!({
        "id": n.id,
        "display_phone_number": n.display_phone_number,
        "verified_name": n.verified_name,
        "quality_rating": n.quality_rating,
        "quality_score": {"score": n.quality_rating},
        "throughput": {"level": level},
        "whatsapp_business_manager_messaging_limit": n.messaging_limit,
        "messaging_limit_tier": n.messaging_limit,
        "status": n.status,
        "name_status": "APPROVED",
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API",
        "account_mode": "LIVE",
        "is_on_biz_app": false,
        "country_dial_code": n.country_dial_code,
        "health_status": {"can_send_message": "AVAILABLE", "entities": [
            {"entity_type": "PHONE_NUMBER", "id": n.id, "can_send_message": "AVAILABLE"}]},
    });
    let default =
        "verified_name,code_verification_status,display_phone_number,quality_rating,platform_type,throughput,id";
    select(all, fields, default)
}

fn template_fields(template: &crate::settings::Template, fields: Option<&str>) -> Value {
    let all = json!({
        "id": template.id,
        "name": template.name,
        "language": template.language,
        "status": template.status,
        "category": template.category,
        "parameter_format": template.parameter_format,
        "quality_score": {"score": template.quality_score, "date": 1_760_000_000},
        "rejected_reason": "NONE",
        "components": template.components,
    });
    select(all, fields, "name,parameter_format,components,language,status,category,id")
}
