//! What steps need, for people.

use std::fmt::Write as _;

use super::advice_text::cited;
use super::terminal::name;
use crate::classify::{Answer, AtStep, MediaNeeds, Permission, Split, StepNeeds};

/// Permissions that are named of those that all who got through held.
const SHOWN: usize = 8;

/// Renders the permissions that steps need.
#[must_use]
pub fn render(all: &[StepNeeds]) -> String {
    let mut text = "\nPERMISSIONS that steps need, by who got through and who did not (in jobs)\n".to_owned();
    if all.is_empty() {
        text.push_str("Nothing states what callers held.\n");
    }
    for needs in all {
        step(needs, &mut text);
    }
    text
}

fn step(needs: &StepNeeds, text: &mut String) {
    let all = &needs.all;
    let _ = writeln!(text, "\n{}\n  {}", name(&needs.step), sides(all));
    if let Some(shared) = &all.shared {
        let more = (shared.len() + all.more_shared).saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = if shared.is_empty() { "nothing in common".to_owned() } else { joined(shared) };
        let _ = writeln!(text, "  All who got through held {named}{more}.");
    }
    for permission in &all.permissions {
        let _ = writeln!(text, "  {}{}: {}", name(&permission.permission), said(permission), answer(permission));
        let _ = writeln!(text, "    all: {}{}", counts(permission), cited(&permission.records));
        for media in &needs.media_types {
            let found = media.at_step.permissions.iter().find(|other| other.permission == permission.permission);
            if let Some(found) = found {
                let _ = writeln!(text, "    {}: {}; {}", name(&media.media_type), counts(found), short(found));
            }
        }
    }
    if needs.media_types.len() > 1 {
        needs.media_types.iter().for_each(|media| separate(media, text));
    }
    if needs.jobs_without_media_type > 0 {
        let _ = writeln!(text, "  {} jobs do not say the media type.", needs.jobs_without_media_type);
    }
}

fn joined(names: &[String]) -> String {
    names.iter().take(SHOWN).map(|text| name(text)).collect::<Vec<_>>().join(", ")
}

fn sides(at: &AtStep) -> String {
    let (passed, failed) = (&at.passed, &at.failed);
    let mut text = format!(
        "{} jobs of {} callers got through, {} of {} failed",
        passed.jobs, passed.callers, failed.jobs, failed.callers
    );
    if failed.explained > 0 {
        let _ = write!(text, " ({} more for another cause)", failed.explained);
    }
    let unknown = passed.unknown + failed.unknown;
    if unknown > 0 {
        let _ = write!(text, "; of {unknown} more it is not known what the caller held");
    }
    text + "."
}

/// Who says that the step needs it.
fn said(permission: &Permission) -> String {
    let mut said: Vec<String> = permission.claims.iter().map(|claim| claim.standing.name().to_owned()).collect();
    said.dedup();
    if permission.named_in_refusals > 0 {
        said.push(format!("named in refusals: {}", permission.named_in_refusals));
    }
    if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
}

fn counts(permission: &Permission) -> String {
    let split = |s: &Split| format!("{} with it, {} without", s.jobs_with, s.jobs_without);
    format!("got through {}; failed {}", split(&permission.passed), split(&permission.failed))
}

fn answer(permission: &Permission) -> String {
    let answer = match (permission.archive, permission.needed) {
        (Some(Answer::Agrees), _) => "the archive agrees".to_owned(),
        (Some(Answer::Contradicts), _) => "the archive contradicts".to_owned(),
        (None, Some(true)) => "nobody says so, but the archive shows that it is needed".to_owned(),
        _ => format!("the archive does not decide: {}", permission.reason.unwrap_or("no evidence")),
    };
    match permission.inseparable_from.as_slice() {
        [] => answer,
        others => format!("{answer}; it cannot tell it from {}", joined(others)),
    }
}

fn short(permission: &Permission) -> &'static str {
    match permission.needed {
        Some(true) => "agrees",
        Some(false) => "contradicts",
        None => "does not decide",
    }
}

fn separate(media: &MediaNeeds, text: &mut String) {
    let separate = &media.separate;
    let named = joined(&separate.permissions);
    let answer = match separate.answer {
        "no" => "no separate permission: what all these held, those of other media types held too".to_owned(),
        "yes" => format!("needs {named}, which others got through without"),
        _ if separate.permissions.is_empty() => "too few to say whether it needs a separate permission".to_owned(),
        _ => format!("all held {named}, which some others lacked; nobody is known to have failed for want of it"),
    };
    let (jobs, others) = (separate.jobs, separate.other_jobs);
    let _ = writeln!(
        text,
        "  {}: {answer} ({jobs} jobs got through, {others} with other media types).",
        name(&media.media_type)
    );
}
