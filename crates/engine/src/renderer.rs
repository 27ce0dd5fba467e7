//! A campaign's template and parameters, or the text of an answer, ready to write one person's message.

use std::collections::BTreeMap;

use cloud_api::Content;
use domain::optout::scope::SERVICE;
use domain::template::{Category, Fields, MetaFields, Plan, RowProblem, Template};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{AudienceRow, CampaignRow, ClaimedSend, MessageKind};

use crate::campaigns::reply::{ANSWERS, TEXT};
use crate::fault::{Fault, Result};

/// A template as a campaign keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptTemplate {
    /// Its name.
    pub name: String,
    /// Its exact language key.
    pub language: String,
    /// Meta's category at the time.
    pub category: String,
    /// POSITIONAL or NAMED.
    pub parameter_format: String,
    /// Meta's components.
    pub components: Value,
    /// For how long Meta tries to deliver, seconds; `None`: as long as is usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<i64>,
}

impl KeptTemplate {
    /// What stands in its place where there is none: free text is a service message.
    pub(crate) fn none() -> Self {
        Self {
            name: String::new(),
            language: String::new(),
            category: SERVICE.to_owned(),
            parameter_format: "POSITIONAL".to_owned(),
            components: Value::Array(Vec::new()),
            ttl_seconds: None,
        }
    }

    /// What a synced template looks like now.
    ///
    /// # Errors
    /// A fault when its components in the database are not JSON.
    pub fn of(row: &store::TemplateRow) -> Result<Self> {
        Ok(Self {
            name: row.name.clone(),
            language: row.language.clone(),
            category: row.category.clone(),
            parameter_format: row.parameter_format.clone(),
            components: serde_json::from_str(&row.components).map_err(Fault::internal)?,
            ttl_seconds: row.ttl_seconds,
        })
    }

    /// The template as the domain understands it.
    ///
    /// # Errors
    /// When its components are not what Meta documents.
    pub fn parse(&self) -> Result<Template> {
        Template::from_meta(&MetaFields {
            name: &self.name,
            language: &self.language,
            category: &self.category,
            status: "APPROVED",
            parameter_format: Some(&self.parameter_format),
            components: &self.components,
        })
        .map_err(|error| Fault::invalid(format!("{error}.")).action("Sync the account's templates and try again."))
    }
}

/// Writes the messages of one campaign.
#[derive(Clone, Debug)]
pub struct Renderer {
    campaign_id: i64,
    /// Whether it is marketing.
    pub is_marketing: bool,
    body: Body,
}

#[derive(Clone)]
enum Body {
    Template { name: String, language: String, plan: Box<Plan> },
    Text { text: String, answers: Option<String> },
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Template { name, language, .. } => write!(f, "Template({name}, {language})"),
            Self::Text { .. } => f.write_str("Text(…)"),
        }
    }
}

impl Renderer {
    /// The renderer of a campaign as it is stored.
    ///
    /// # Errors
    /// When its template and parameters no longer fit.
    pub fn of(campaign: &CampaignRow) -> Result<Self> {
        let mut params: BTreeMap<String, String> = serde_json::from_str(&campaign.params).map_err(Fault::internal)?;
        if campaign.kind == MessageKind::Reply as i16 {
            // Without a text its person was erased, and the claim leaves it out.
            let (text, answers) = (params.remove(TEXT).unwrap_or_default(), params.remove(ANSWERS));
            return Ok(Self { campaign_id: campaign.id, is_marketing: false, body: Body::Text { text, answers } });
        }
        let template: KeptTemplate = serde_json::from_str(&campaign.template).map_err(Fault::internal)?;
        let plan = Plan::new(&template.parse()?, &params).map_err(|errors| {
            let list: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Fault::invalid(format!("The parameters do not fit the template {}: {}.", template.name, list.join("; ")))
        })?;
        let is_marketing = Category::parse(&template.category) == Category::Marketing;
        let body = Body::Template { name: template.name, language: template.language, plan: Box::new(plan) };
        Ok(Self { campaign_id: campaign.id, is_marketing, body })
    }

    /// What one person's message says; `Err` is the reason as it is counted.
    ///
    /// # Errors
    /// `variable-missing:name` and the like.
    pub fn content(&self, send: &ClaimedSend) -> std::result::Result<Content, String> {
        let (name, language, plan) = match &self.body {
            Body::Template { name, language, plan } => (name.clone(), language.clone(), plan),
            Body::Text { text, .. } if text.is_empty() => return Err("cannot-be-rendered".to_owned()),
            Body::Text { text, answers } => return Ok(Content::Text { body: text.clone(), answers: answers.clone() }),
        };
        let attributes = attributes(&send.attributes);
        let phone = send.phone.map(|digits| format!("+{digits}"));
        let fields = Fields {
            phone: phone.as_deref(),
            name: send.name.as_deref(),
            language: send.language.as_deref(),
            attributes: &attributes,
        };
        let components = plan.render(&fields, self.campaign_id).map_err(|problems| reason(&problems))?;
        if components.is_empty() {
            return Ok(Content::Template { name, language, components: None });
        }
        let raw = serde_json::value::to_raw_value(&components);
        let components = raw.map_err(|error| format!("cannot-be-rendered:{error}"))?;
        Ok(Content::Template { name, language, components: Some(components) })
    }

    fn plan(&self) -> Option<&Plan> {
        match &self.body {
            Body::Template { plan, .. } => Some(plan),
            Body::Text { .. } => None,
        }
    }

    /// Whether the message can be written, where nothing of the person is in it: then it is so for everybody. `None`:
    /// it depends on the person.
    #[must_use]
    pub fn check_all_alike(&self) -> Option<std::result::Result<(), String>> {
        let Some(plan) = self.plan() else { return Some(Ok(())) };
        if plan.columns().next().is_some() {
            return None;
        }
        let nobody = Fields { phone: None, name: None, language: None, attributes: &BTreeMap::new() };
        Some(plan.check(&nobody).map_err(|problems| reason(&problems)))
    }

    /// Whether one person's message can be written; `Err` is the reason as it is counted.
    ///
    /// # Errors
    /// `variable-missing:name` and the like.
    pub fn check(&self, person: &AudienceRow) -> std::result::Result<(), String> {
        let Some(plan) = self.plan() else { return Ok(()) };
        let attributes = attributes(&person.attributes);
        let phone = person.phone.map(|digits| format!("+{digits}"));
        let fields = Fields {
            phone: phone.as_deref(),
            name: person.name.as_deref(),
            language: person.language.as_deref(),
            attributes: &attributes,
        };
        plan.check(&fields).map_err(|problems| reason(&problems))
    }
}

fn attributes(json: &str) -> BTreeMap<String, String> {
    // Most people have none; and what is not an object of texts was not written by us and gives no values.
    if json == "{}" { BTreeMap::new() } else { serde_json::from_str(json).unwrap_or_default() }
}

/// How a problem is counted: its code and, where a column is to blame, that column.
fn reason(problems: &[RowProblem]) -> String {
    problems.first().map_or_else(
        || "cannot-be-rendered".to_owned(),
        |problem| match &problem.column {
            Some(column) => format!("{}:{column}", problem.code),
            None => format!("{}:{}", problem.code, problem.key),
        },
    )
}
