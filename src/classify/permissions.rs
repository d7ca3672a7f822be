//! What permissions steps need, learned from who gets through them and who does not, per media type, beside what the rule
//! pack says and what refusals name.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::archive::Whole;
use super::authority::{ENOUGH_JOBS, STRAY_SHARE};
use super::figures::{Cites, Records};
use super::pack::Standing;
use super::retries::CITED;
use super::tally::{Named, Side, Split, Suspects, Tally};
use crate::correlate::{Media, Symbol, passages};
use crate::error::Result;
use crate::evidence::Locator;

/// Permissions that are named at most of those that all who passed share; more are counted.
const MOST_SHARED: usize = 100;

/// What the archive says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// All who got through held it, and somebody who did not hold it failed.
    Agrees,
    /// Some got through without it.
    Contradicts,
    DoesNotDecide,
}

/// Who says that a step needs a permission.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    pub standing: Standing,
    pub source: String,
}

/// A permission at a step.
#[derive(Clone, Debug, Serialize)]
pub struct Permission {
    pub permission: String,
    /// Whether the step needs it, by the archive; null where it does not decide.
    pub needed: Option<bool>,
    pub passed: Split,
    pub failed: Split,
    /// Other permissions that the same jobs held and lacked: the archive cannot tell them from this one.
    pub inseparable_from: Vec<String>,
    /// The rule pack's.
    pub claims: Vec<Claim>,
    /// Refusals at this step that name it.
    pub named_in_refusals: usize,
    /// What the archive says to the claims and refusals; null where there are none.
    pub archive: Option<Answer>,
    /// Why it does not decide.
    pub reason: Option<&'static str>,
    /// Who got through without it, else who failed without it: the attempt and what states the caller's permissions; the
    /// first refusal that names it.
    pub records: Records,
}

/// Whether recordings of one media type need a permission that others do not.
#[derive(Clone, Debug, Serialize)]
pub struct Separate {
    /// `yes`, `no`, `does_not_decide`.
    pub answer: &'static str,
    /// Those that all who passed with this media type held, and some who passed with another lacked. Needed, where the
    /// answer is yes, because some who lacked them failed; else merely held.
    pub permissions: Vec<String>,
    /// Jobs that passed with this media type, with known permissions, and with others.
    pub jobs: usize,
    pub other_jobs: usize,
}

/// One step, of one media type or of all.
#[derive(Clone, Debug, Serialize)]
pub struct AtStep {
    pub passed: Side,
    pub failed: Side,
    /// What all who passed held; null where fewer than three jobs with known permissions did.
    pub shared: Option<Vec<String>>,
    /// How many more there are.
    pub more_shared: usize,
    /// Those that somebody says it needs, and those that all who passed held and somebody who failed lacked.
    pub permissions: Vec<Permission>,
}

/// A step, and the same by media type.
#[derive(Clone, Debug, Serialize)]
pub struct StepNeeds {
    pub step: String,
    #[serde(flatten)]
    pub all: AtStep,
    pub media_types: Vec<MediaNeeds>,
    /// Jobs at this step of which no record says the media type.
    pub jobs_without_media_type: usize,
}

/// A step for one media type.
#[derive(Clone, Debug, Serialize)]
pub struct MediaNeeds {
    pub media_type: String,
    #[serde(flatten)]
    pub at_step: AtStep,
    pub separate: Separate,
}

impl Cites for StepNeeds {
    fn cites(&mut self, each: &mut dyn FnMut(&mut Records)) {
        let of_media = self.media_types.iter_mut().map(|media| &mut media.at_step);
        for at_step in std::iter::once(&mut self.all).chain(of_media) {
            at_step.permissions.iter_mut().for_each(|permission| each(&mut permission.records));
        }
    }
}

/// What steps need, in the order in which an item goes through them.
///
/// # Errors
/// The outline cannot be read.
pub fn learn(archive: &Whole<'_>, suspects: &Suspects) -> Result<Vec<StepNeeds>> {
    let mut tallies: BTreeMap<Symbol, BTreeMap<Media, Tally>> = BTreeMap::new();
    let mut look = archive.contrast.statements.look();
    passages(archive.outline, |passage| {
        let tally = tallies.entry(passage.step).or_default().entry(passage.media).or_default();
        tally.note(archive, passage, suspects, &mut look)
    })?;
    let mut found: Vec<StepNeeds> =
        tallies.iter().filter_map(|(step, by_media)| step_needs(archive, *step, by_media, suspects)).collect();
    let place = |needs: &StepNeeds| ORDER.iter().position(|step| *step == needs.step).unwrap_or(ORDER.len());
    found.sort_by(|a, b| (place(a), &a.step).cmp(&(place(b), &b.step)));
    Ok(found)
}

const ORDER: [&str; 6] = ["query", "metadata_injection", "hold_sync", "export", "upload", "verify"];

fn step_needs(
    archive: &Whole<'_>,
    step: Symbol,
    by_media: &BTreeMap<Media, Tally>,
    suspects: &Suspects,
) -> Option<StepNeeds> {
    let name = archive.outline.symbols.name(step)?;
    let none = Named::new();
    let named_at = |media: Option<&str>| suspects.named_at(name, media).unwrap_or(&none);
    let all = at_step(archive, name, by_media.get(&Media::All)?, named_at(None));
    if all.passed.jobs + all.failed.jobs == 0 && all.permissions.is_empty() {
        return None;
    }
    let media = by_media.iter().filter_map(|(media, tally)| match media {
        Media::One(symbol) => Some((archive.outline.symbols.name(*symbol)?, *media, tally)),
        Media::All | Media::Unknown => None,
    });
    let mut media_types: Vec<MediaNeeds> = media
        .map(|(media_type, media, tally)| MediaNeeds {
            media_type: media_type.to_owned(),
            at_step: at_step(archive, name, tally, named_at(Some(media_type))),
            separate: separate(media, by_media),
        })
        .collect();
    media_types.sort_by(|a, b| a.media_type.cmp(&b.media_type));
    let unknown = by_media.get(&Media::Unknown).map_or(0, |tally| tally.passed.all() + tally.failed.all());
    Some(StepNeeds { step: name.to_owned(), all, media_types, jobs_without_media_type: unknown })
}

fn at_step(archive: &Whole<'_>, step: &str, tally: &Tally, named: &Named) -> AtStep {
    let claims = |permission: &str| -> Vec<Claim> {
        let of_step = archive.pack.requirements.iter().filter(|r| r.step == step);
        let saying = of_step.filter(|r| r.permissions.iter().any(|p| p == permission));
        saying.map(|r| Claim { standing: r.standing, source: r.source.clone() }).collect()
    };
    let claimed: BTreeSet<&str> = archive
        .pack
        .requirements
        .iter()
        .filter(|r| r.step == step)
        .flat_map(|r| &r.permissions)
        .chain(named.keys())
        .map(String::as_str)
        .collect();
    let (passed, failed) = (tally.passed.side(), tally.failed.side());
    let enough = passed.jobs >= ENOUGH_JOBS;
    let mut shared: Vec<String> = Vec::new();
    let mut looked_at: BTreeSet<&str> = claimed.clone();
    for scope in tally.passed.scopes() {
        if tally.passed.split(&tally.passed.pattern(scope)).is_held_by_all() {
            shared.push(scope.to_owned());
            if enough && tally.failed.split(&tally.failed.pattern(scope)).jobs_without > 0 {
                looked_at.insert(scope);
            }
        }
    }
    let patterns: BTreeMap<&str, (Vec<bool>, Vec<bool>)> = looked_at
        .iter()
        .map(|permission| (*permission, (tally.passed.pattern(permission), tally.failed.pattern(permission))))
        .collect();
    let permission = |name: &&str| {
        let mut found = judge(name, tally, &patterns[name], named.get(*name), claims(name));
        if found.needed == Some(true) {
            let same = patterns.iter().filter(|(other, pattern)| *other != name && **pattern == patterns[name]);
            found.inseparable_from = same.map(|(other, _)| (*other).to_owned()).collect();
        }
        found
    };
    let permissions = looked_at.iter().map(permission).collect();
    let more_shared = shared.len().saturating_sub(MOST_SHARED);
    shared.truncate(MOST_SHARED);
    AtStep {
        passed,
        failed,
        shared: enough.then_some(shared),
        more_shared: if enough { more_shared } else { 0 },
        permissions,
    }
}

fn judge(
    permission: &str,
    tally: &Tally,
    (of_passed, of_failed): &(Vec<bool>, Vec<bool>),
    named: Option<&(usize, Locator)>,
    claims: Vec<Claim>,
) -> Permission {
    let (passed, failed) = (tally.passed.split(of_passed), tally.failed.split(of_failed));
    let known = passed.jobs_with + passed.jobs_without;
    let (needed, reason) = match () {
        () if known == 0 => (None, Some("nobody whose permissions are known got through")),
        () if !passed.is_held_by_all() => (Some(false), None),
        () if known < ENOUGH_JOBS => {
            (None, Some("fewer than three jobs whose callers' permissions are known got through"))
        }
        () if failed.jobs_without == 0 => {
            (None, Some("all who got through held it, and nobody without it is known to have tried"))
        }
        () => (Some(true), None),
    };
    let examples = match needed {
        Some(true) => tally.failed.examples_without(of_failed),
        _ => tally.passed.examples_without(of_passed),
    };
    let places = examples.into_iter().flat_map(|(attempt, basis)| std::iter::once(attempt).chain(basis));
    let is_claimed = !claims.is_empty() || named.is_some();
    Permission {
        permission: permission.to_owned(),
        needed,
        passed,
        failed,
        inseparable_from: Vec::new(),
        claims,
        named_in_refusals: named.map_or(0, |(count, _)| *count),
        archive: is_claimed.then_some(match needed {
            Some(true) => Answer::Agrees,
            Some(false) => Answer::Contradicts,
            None => Answer::DoesNotDecide,
        }),
        reason,
        records: Records::new(named.map(|(_, first)| *first).into_iter().chain(places).take(CITED)),
    }
}

/// Whether those who passed with `media` share what others got through without.
fn separate(media: Media, by_media: &BTreeMap<Media, Tally>) -> Separate {
    let none = Tally::default();
    let own = by_media.get(&media).unwrap_or(&none);
    let others: Vec<&Tally> = by_media
        .iter()
        .filter(|(other, _)| matches!(other, Media::One(_)) && **other != media)
        .map(|(_, tally)| tally)
        .collect();
    let jobs = own.passed.side().jobs;
    let other_jobs = others.iter().map(|tally| tally.passed.side().jobs).sum();
    let mut found = Separate { answer: "does_not_decide", permissions: Vec::new(), jobs, other_jobs };
    if jobs < ENOUGH_JOBS || other_jobs < ENOUGH_JOBS {
        return found;
    }
    for scope in own.passed.scopes() {
        let with_own = own.passed.split(&own.passed.pattern(scope)).is_held_by_all();
        let lacked = |tally: &&Tally| tally.passed.split(&tally.passed.pattern(scope)).jobs_without;
        let without: usize = others.iter().map(lacked).sum();
        if !with_own || without * STRAY_SHARE <= other_jobs {
            continue;
        }
        found.permissions.push(scope.to_owned());
    }
    let refused = |scope: &String| own.failed.split(&own.failed.pattern(scope)).jobs_without > 0;
    let (needed, held): (Vec<String>, Vec<String>) =
        std::mem::take(&mut found.permissions).into_iter().partition(refused);
    found.answer = match (needed.is_empty(), held.is_empty()) {
        (false, _) => "yes",
        (true, false) => "does_not_decide",
        (true, true) => "no",
    };
    found.permissions = if needed.is_empty() { held } else { needed };
    found.permissions.truncate(MOST_SHARED);
    found
}
