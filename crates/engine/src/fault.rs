//! What every verb answers when it cannot do what it was asked: what happened, what is kept, what to do.

use std::fmt;

/// The answer of every verb.
pub type Result<T> = std::result::Result<T, Fault>;

/// The kinds of failure that a caller treats differently. contract.md gives each an exit code, HTTP a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// What was asked contradicts itself or is not something Hudhud can do.
    Invalid,
    /// Nothing goes by that name or id.
    NotFound,
    /// It exists, but its state does not allow this.
    WrongState,
    /// It exists already, or somebody else was faster.
    Conflict,
    /// It is larger than is taken.
    TooLarge,
    /// The preflight refuses the launch. Nothing was sent.
    PreflightRefused,
    /// The database, Redis or the Graph API cannot be reached or refuses just now; the same call may succeed later.
    Unavailable,
    /// The caller, or the access token at Meta, lacks the permission.
    Forbidden,
    /// A defect of ours.
    Internal,
    /// The ledger's chain does not hold.
    LedgerBroken,
}

/// A failure in three sentences, each fit to be shown to the person who asked. None carries a phone number or secret.
#[derive(Debug)]
pub struct Fault {
    /// How the caller should take it.
    pub kind: FaultKind,
    /// What happened.
    pub detail: String,
    /// What is kept in spite of it.
    pub kept: String,
    /// What to do now.
    pub action: String,
    /// What the refusal rests on, where there is more to read: the preflight's document.
    pub document: Option<serde_json::Value>,
    source: Option<anyhow::Error>,
}

const NOTHING_CHANGED: &str = "Nothing was changed.";

impl Fault {
    /// A fault of any kind. Unless said otherwise ([`Self::kept`], [`Self::action`]) nothing was changed.
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        let action = match kind {
            FaultKind::Invalid => "Correct it and ask again.",
            FaultKind::NotFound => "Check the name or id.",
            FaultKind::WrongState => "Look at its state first.",
            FaultKind::Conflict => "Look at what is there, then decide.",
            FaultKind::TooLarge => "Send less at once.",
            FaultKind::PreflightRefused => "Remove the blockers and launch again.",
            FaultKind::Unavailable => "Try again in a moment.",
            FaultKind::Forbidden => "Ask for the permission, or use another key.",
            FaultKind::Internal => "Try again; if it stays, report it with the log lines of this moment.",
            FaultKind::LedgerBroken => "Stop writing to this database and compare it with a backup.",
        };
        Self {
            kind,
            detail: detail.into(),
            kept: NOTHING_CHANGED.to_owned(),
            action: action.to_owned(),
            document: None,
            source: None,
        }
    }

    /// What was asked cannot be done as asked.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Invalid, detail)
    }

    /// Nothing goes by that name.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::NotFound, detail)
    }

    /// Its state does not allow this.
    pub fn wrong_state(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::WrongState, detail)
    }

    /// Something like it is there already.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Conflict, detail)
    }

    /// Another program that Hudhud needs does not answer.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Unavailable, detail)
    }

    /// A defect of ours, with its cause.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let cause = cause.into();
        let mut fault = Self::new(FaultKind::Internal, format!("something failed that should not: {cause}"));
        fault.source = Some(cause);
        fault
    }

    /// Says what is kept in spite of it.
    #[must_use]
    pub fn kept(mut self, kept: impl Into<String>) -> Self {
        self.kept = kept.into();
        self
    }

    /// Says what to do now.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = action.into();
        self
    }

    /// Attaches what the refusal rests on.
    #[must_use]
    pub fn with_document(mut self, document: serde_json::Value) -> Self {
        self.document = Some(document);
        self
    }

    /// Attaches the cause, for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.source = Some(cause.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.detail, self.kept, self.action)
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        let fault = match &error {
            store::Error::Unavailable { reason, .. } => {
                Self::unavailable(format!("The database is unavailable: {reason}."))
                    .action("Try again in a moment; if it stays, look at the database and its disk.")
            }
            store::Error::Conflict(_) => Self::conflict("Something with this name or id is there already."),
            store::Error::Bug { what, .. } => Self::new(
                FaultKind::Internal,
                format!("The database answered what this version does not expect: {what}."),
            ),
        };
        fault.because(error)
    }
}

impl From<anyhow::Error> for Fault {
    fn from(cause: anyhow::Error) -> Self {
        // A fault that passed through anyhow's context stays the fault it was.
        match cause.downcast::<Self>() {
            Ok(fault) => fault,
            Err(cause) => Self::internal(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_keeps_its_kind_on_its_way_through_anyhow() {
        let passed = anyhow::Error::from(Fault::not_found("There is no list of that name.")).context("while importing");
        assert_eq!(Fault::from(passed).kind, FaultKind::NotFound);
        assert_eq!(Fault::from(anyhow::anyhow!("boom")).kind, FaultKind::Internal);
    }

    #[test]
    fn a_bug_of_the_store_is_an_internal_fault_that_keeps_its_cause() {
        let fault = Fault::from(store::Error::bug("a strange row"));
        assert_eq!(fault.kind, FaultKind::Internal);
        assert!(std::error::Error::source(&fault).is_some());
        assert_eq!(fault.kept, "Nothing was changed.");
    }
}
