//! What to collect next, and what each answer would mean: the answer is put into the features, and all is weighed again.

use serde::{Deserialize, Serialize};

use super::dossier::Dossier;
use super::given::Given;
use super::pack::Advice;
use super::verdict::{Class, Put, Scales, Support, Verdict, fill_with};
use crate::correlate::Failure;

/// An answer that a piece of further evidence may give, as a pack writes it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The answer in a word, such as a status.
    pub answer: String,
    /// What it would mean.
    pub means: String,
    /// The features it would set.
    #[serde(default)]
    pub sets: Given,
}

/// Something to collect.
#[derive(Clone, Debug, Serialize)]
pub struct Question {
    /// From 1: what is likeliest to decide or overturn the verdict comes first.
    pub rank: usize,
    pub text: String,
    /// A line for a shell that fetches it.
    pub command: Option<String>,
    pub outcomes: Vec<Expected>,
}

/// What an answer would mean.
#[derive(Clone, Debug, Serialize)]
pub struct Expected {
    pub answer: String,
    pub means: String,
    /// The verdict there would be, all else staying as it is.
    pub class: Class,
    pub mechanism: Option<String>,
    pub support: Option<Support>,
    /// Whether that is another class than now.
    pub changes_verdict: bool,
}

/// What could be collected for a failure, ranked: by how many of its answers would make the verdict another, then in the
/// order of the pack.
///
/// # Errors
/// Polars cannot evaluate a condition.
pub fn questions(
    scales: &Scales<'_>,
    failure: &Failure,
    dossier: &Dossier,
    verdict: &Verdict,
) -> polars::prelude::PolarsResult<Vec<Question>> {
    let mut found = Vec::new();
    for advice in scales.open(dossier)? {
        let shown =
            |text: &str, put: Put<'_>| fill_with(text, failure, &dossier.features, &verdict.missing_permissions, put);
        let mut outcomes = Vec::with_capacity(advice.outcomes.len());
        for outcome in &advice.outcomes {
            let mut supposed = dossier.clone();
            outcome.sets.over(&mut supposed.features);
            let Some(would_be) = scales.weigh(&[failure], std::slice::from_ref(&supposed))?.into_iter().next() else {
                continue;
            };
            outcomes.push(Expected {
                answer: outcome.answer.clone(),
                means: shown(&outcome.means, Put::AsItIs),
                changes_verdict: would_be.class != verdict.class,
                class: would_be.class,
                mechanism: would_be.mechanism,
                support: would_be.support,
            });
        }
        let command = advice.command.as_ref().map(|command| shown(command, Put::InShell));
        found.push(Question { rank: 0, text: shown(&advice.text, Put::AsItIs), command, outcomes });
    }
    found.sort_by_key(|question| std::cmp::Reverse(question.outcomes.iter().filter(|o| o.changes_verdict).count()));
    for (rank, question) in (1..).zip(&mut found) {
        question.rank = rank;
    }
    Ok(found)
}

/// Checks the answers of advice.
///
/// # Errors
/// An answer sets what is no feature.
pub fn check(advice: &Advice) -> Result<(), String> {
    advice
        .outcomes
        .iter()
        .try_for_each(|outcome| outcome.sets.check().map_err(|reason| format!("answer `{}`: {reason}", outcome.answer)))
}

/// The host of the vendor's API in a region, as its developer pages list them.
#[must_use]
pub fn api_host(region: &str) -> Option<&'static str> {
    let hosts = [
        ("us-east-1", "api.mypurecloud.com"),
        ("us-east-2", "api.use2.us-gov-pure.cloud"),
        ("us-west-2", "api.usw2.pure.cloud"),
        ("ca-central-1", "api.cac1.pure.cloud"),
        ("mx-central-1", "api.mxc1.pure.cloud"),
        ("sa-east-1", "api.sae1.pure.cloud"),
        ("eu-central-1", "api.mypurecloud.de"),
        ("eu-central-2", "api.euc2.pure.cloud"),
        ("eu-west-1", "api.mypurecloud.ie"),
        ("eu-west-2", "api.euw2.pure.cloud"),
        ("me-central-1", "api.mec1.pure.cloud"),
        ("ap-south-1", "api.aps1.pure.cloud"),
        ("ap-northeast-1", "api.mypurecloud.jp"),
        ("ap-northeast-2", "api.apne2.pure.cloud"),
        ("ap-northeast-3", "api.apne3.pure.cloud"),
        ("ap-southeast-1", "api.apse1.pure.cloud"),
        ("ap-southeast-2", "api.mypurecloud.com.au"),
    ];
    hosts.iter().find(|(known, _)| *known == region).map(|(_, host)| *host)
}

/// A value in a line for a shell: as it is where it holds nothing that a shell or a URL would obey, else a variable that
/// whoever runs the line must set.
#[must_use]
pub fn in_shell(name: &str, value: Option<&str>) -> String {
    let harmless = |text: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
        !text.is_empty() && !text.starts_with('-') && !text.contains("..") && text.chars().all(plain)
    };
    value.filter(harmless).map_or_else(|| format!("${}", name.to_ascii_uppercase()), str::to_owned)
}
