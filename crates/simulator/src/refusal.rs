//! Meta's error codes, their titles, their HTTP statuses, and the envelope they come in.

use crate::json::quoted;

/// A refusal, as it stands in an answer or in a failed status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Meta's code.
    pub(crate) code: u32,
    /// Only where Meta gives one.
    pub(crate) subcode: Option<u32>,
    /// What is wrong, in words.
    pub(crate) details: String,
}

impl Refusal {
    pub(crate) fn new(code: u32, details: impl Into<String>) -> Refusal {
        Refusal { code, subcode: None, details: details.into() }
    }

    /// A refusal of which only the code matters.
    pub(crate) fn bare(code: u32) -> Refusal {
        Refusal::new(code, title(code))
    }

    /// The answer's body. `trace` becomes the `fbtrace_id`.
    pub(crate) fn envelope(&self, trace: u64) -> String {
        let code = self.code;
        let mut body = String::with_capacity(320);
        body.push_str("{\"error\":{\"message\":");
        // Token and object errors carry a bare sentence; everything about messages is prefixed with its code.
        let message = match code {
            104 | 190 => self.details.clone(),
            100 if self.subcode == Some(33) => self.details.clone(),
            100 => format!("(#100) {}", self.details),
            _ => format!("(#{code}) {}", title(code)),
        };
        quoted(&mut body, &message);
        let kind = match self.subcode {
            Some(33) => "GraphMethodException",
            _ => "OAuthException",
        };
        body.push_str(&format!(",\"type\":\"{kind}\",\"code\":{code}"));
        if let Some(subcode) = self.subcode {
            body.push_str(&format!(",\"error_subcode\":{subcode}"));
        }
        if code >= 130_000 {
            body.push_str(",\"error_data\":{\"messaging_product\":\"whatsapp\",\"details\":");
            quoted(&mut body, &self.details);
            body.push('}');
        }
        if matches!(code, 1 | 2 | 4 | 131_000 | 131_016 | 131_056 | 130_429) {
            body.push_str(",\"is_transient\":");
            body.push_str(if matches!(code, 2 | 131_016) { "true" } else { "false" });
        }
        body.push_str(&format!(",\"fbtrace_id\":\"A{trace:016x}Sim\"}}}}"));
        body
    }
}

/// The HTTP status that comes with a code (the last values that Meta published).
pub(crate) fn http_status(code: u32) -> u16 {
    match code {
        0 | 104 | 190 => 401,
        10 | 200..=299 | 368 | 131_005 | 131_031 => 403,
        132_001 => 404,
        4 | 80_007 | 130_429 | 131_048 | 131_056 => 429,
        3 | 131_000 | 134_102 => 500,
        2 | 131_016 | 133_004 => 503,
        _ => 400,
    }
}

/// A code's title, as Meta words it.
pub(crate) fn title(code: u32) -> &'static str {
    match code {
        0 => "AuthException",
        1 => "API Unknown",
        2 => "API Service",
        3 => "API Method",
        4 => "API Too Many Calls",
        10 => "Permission Denied",
        33 => "Parameter value is not valid",
        100 => "Invalid parameter",
        104 => "An access token is required to request this resource.",
        190 => "Access token has expired",
        200..=299 => "API Permission",
        368 => "Temporarily blocked for policies violations",
        80_007 => "Rate limit issues",
        130_403 => "User is blocked",
        130_429 => "Rate limit hit",
        130_472 => "User's number is part of an experiment",
        130_497 => "Business account is restricted from messaging users in this country",
        131_000 => "Something went wrong",
        131_005 => "Access denied",
        131_008 => "Required parameter is missing",
        131_009 => "Parameter value is not valid",
        131_016 => "Service unavailable",
        131_021 => "Recipient cannot be sender",
        131_026 => "Message undeliverable",
        131_030 => "Recipient phone number not in allowed list",
        131_031 => "Account has been locked",
        131_037 => "Display name approval required",
        131_042 => "Business eligibility payment issue",
        131_045 => "Incorrect certificate",
        131_047 => "Re-engagement message",
        131_048 => "Spam rate limit hit",
        131_049 => "This message was not delivered to maintain healthy ecosystem engagement.",
        131_050 => "User has stopped marketing messages from this business",
        131_051 => "Unsupported message type",
        131_053 => "Media upload error",
        131_056 => "(Business Account, Consumer Account) pair rate limit hit",
        131_057 => "Account in maintenance mode",
        131_062 => "Business-scoped user id is not allowed here",
        131_063 => "Marketing messages are disabled on this endpoint",
        131_064 => "Account limited for template misclassification",
        132_000 => "Number of parameters does not match the expected number of params",
        132_001 => "Template name does not exist in the translation",
        132_005 => "Translated text too long",
        132_007 => "Template format character policy violated",
        132_008 => "Template parameter value is invalid",
        132_012 => "Parameter format does not match format in the created template",
        132_015 => "Template is paused",
        132_016 => "Template is disabled",
        132_018 => "There was a validation problem with the template's parameters",
        132_068 => "Flow is in blocked state",
        132_069 => "Flow is in throttled state",
        133_004 => "Server temporarily unavailable",
        133_010 => "Phone number not registered",
        134_011 => "Payments terms of service not accepted",
        134_101 => "Template is still being synced",
        135_000 => "Generic user error",
        137_000 => "Identity key hash mismatch",
        _ => "Unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_has_metas_shape() {
        let refusal = Refusal::new(130_429, "Rate limit \"hit\"");
        let body: serde_json::Value = serde_json::from_str(&refusal.envelope(1)).expect("valid JSON");
        let error = &body["error"];
        assert_eq!(error["message"], "(#130429) Rate limit hit");
        assert_eq!(error["type"], "OAuthException");
        assert_eq!(error["code"], 130_429);
        assert_eq!(error["error_data"]["messaging_product"], "whatsapp");
        assert_eq!(error["error_data"]["details"], "Rate limit \"hit\"");
        assert_eq!(error["is_transient"], false);
        assert!(error["fbtrace_id"].as_str().is_some_and(|t| t.starts_with('A')));
    }

    #[test]
    fn statuses_follow_the_last_published_table() {
        for (code, status) in [(190, 401), (10, 403), (130_429, 429), (131_000, 500), (131_016, 503), (132_000, 400)] {
            assert_eq!(http_status(code), status, "{code}");
        }
    }
}
