//! AWS's evaluation of policies: what a set of them says of a request, by which statement, and what would have to be known
//! where they do not say.
//!
//! Written against the IAM user guide ("Policy evaluation logic" and the reference of policy elements) and the guides of
//! Organizations, KMS and VPC endpoints; docs/policy.md lists the rules. What is not known of a request is *unknown*,
//! and an answer that hangs on it is undetermined.

mod answer;
mod caller;
mod conditions;
mod context;
mod document;
mod evaluate;
mod operators;
mod pattern;
mod proof;
mod question;
mod replay;
mod shapes;
mod statement;
mod tri;

pub use answer::{Answer, DecidedBy, Evaluated, Unusable};
pub use caller::is_account;
pub use context::role_of_session;
pub use document::Kind;
pub use evaluate::evaluate;
pub use pattern::wildcard;
pub use question::{Attached, Policies, Question};
pub use replay::{Gap, Replay, Request, is_of_tenant, looks_like_id, replay};
pub use shapes::documents;

/// What policies say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    Allow,
    ExplicitDeny,
    ImplicitDeny,
    Undetermined,
}

impl Decision {
    /// The name used in features, reports and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::ExplicitDeny => "explicit_deny",
            Self::ImplicitDeny => "implicit_deny",
            Self::Undetermined => "undetermined",
        }
    }
}
