//! The advice for people.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use super::AdviceReport;
use super::permissions_text;
use super::terminal::{name, plain};
use crate::classify::{Backoff, Credentials, Figure, HourToAvoid, Lag, OwnSchedule, Records, Replayed};

/// Regions and hours that are listed; more are counted.
const SHOWN_LAGS: usize = 40;
const FOOTER: &str = "
Times are of this archive; percentiles are by nearest rank, so that each is a time that was observed.
  everything, with the records of every figure:  holdtrace advise --format json PATH...
  a record:                                      holdtrace show ev:... PATH...
";

/// Renders the advice for a terminal `width` columns wide.
#[must_use]
pub fn render(report: &AdviceReport, width: u16) -> String {
    let (archive, advice) = (&report.archive, &report.advice);
    let mut text = format!(
        "Learned from {} jobs with {} failed exports, {} of {} records read ({} rejected)\n",
        archive.jobs, archive.failures, archive.parsed, archive.records, archive.rejected
    );
    let holds = &advice.holds;
    let _ = writeln!(
        text,
        "\nHOLDS, from placed to synchronised\n{} placed, {} synchronised, {} without that on record ({} of them lifted), {} records of \
         a placing already counted",
        holds.placed, holds.synced, holds.open, holds.lifted, holds.told_again
    );
    text.push_str(&lags(&holds.lags, width));
    let conflicts = &advice.conflicts;
    let _ = writeln!(
        text,
        "\nCONFLICTS AND RACES, from the first conflict to success\n{} failures, {} got through, {} did not in this evidence",
        conflicts.failures, conflicts.recovered, conflicts.open
    );
    if !conflicts.set_aside.is_empty() {
        let aside = conflicts.set_aside.iter().map(|(why, count)| format!("{count} {why}"));
        let _ = writeln!(text, "Set aside, because not time ended them: {}", aside.collect::<Vec<_>>().join(", "));
    }
    text.push_str(&lags(&conflicts.lags, width));
    text.push_str(&own_schedules(&advice.own_schedule));
    text.push_str(&backoffs(&advice.backoff));
    text.push_str(&hours(&advice.hours_to_avoid));
    text.push_str(&credentials(&advice.credentials));
    text.push_str(&permissions_text::render(&advice.permissions));
    text.push_str(FOOTER);
    plain(&text)
}

fn table(header: &[&str], width: u16) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(header.iter().copied());
    table
}

fn lags(lags: &[Lag], width: u16) -> String {
    let Some(all) = lags.first().filter(|all| all.spread.count + all.spread.censored > 0) else {
        return "None on record.\n".to_owned();
    };
    let mut table = table(&["Region, hour (UTC)", "Count", "Open", "Median", "90 %", "99 %", "Longest"], width);
    for lag in lags.iter().take(SHOWN_LAGS) {
        let region = region(lag.region.as_deref());
        let what = match (lag.of, lag.hour) {
            ("all", _) => "all".to_owned(),
            (_, Some(hour)) => format!("{region}, {hour:02}"),
            _ => region,
        };
        let spread = &lag.spread;
        let shown = |figure: &Option<Figure>| figure.as_ref().map_or_else(|| "too few".to_owned(), time);
        let longest = spread.longest.as_ref().map_or_else(|| "-".to_owned(), time);
        let figures = [shown(&spread.median), shown(&spread.p90), shown(&spread.p99), longest];
        table.add_row([what, spread.count.to_string(), spread.censored.to_string()].into_iter().chain(figures));
    }
    let mut text = format!("{table}\n");
    if lags.len() > SHOWN_LAGS {
        let _ = writeln!(text, "and {} more regions and hours; --format json lists them all", lags.len() - SHOWN_LAGS);
    }
    let rests = [&all.spread.median, &all.spread.longest].into_iter().flatten();
    let ids: Vec<&str> = rests.flat_map(|figure| figure.records.ids()).map(String::as_str).collect();
    if !ids.is_empty() {
        let _ = writeln!(text, "The median of all and the longest: {}", ids.join(" "));
    }
    text
}

fn region(known: Option<&str>) -> String {
    known.map_or_else(|| "(region unknown)".to_owned(), name)
}

fn time(figure: &Figure) -> String {
    format!("{:.1} s", figure.seconds)
}

/// The ids of records in brackets, after a space.
pub fn cited(records: &Records) -> String {
    if records.ids().is_empty() { String::new() } else { format!(" ({})", records.ids().join(" ")) }
}

fn own_schedules(all: &[OwnSchedule]) -> String {
    let mut text = "\nTHE EXPORTER'S OWN RETRIES\n".to_owned();
    for own in all {
        let _ = writeln!(text, "{}:", own.mechanism.as_deref().unwrap_or("All of them"));
        let _ = writeln!(text, "  {}", shape(own));
        let _ = writeln!(text, "  In fact {} got through, of {} that settled.", own.got_through, own.settled);
        if own.gave_up > 0 {
            let (gave_up, soon, records) = (own.gave_up, own.gave_up_too_soon, cited(&own.records));
            let _ = writeln!(
                text,
                "  It gave up on {gave_up}, of which {soon} had settled later, by their hold's sync{records}."
            );
        }
        let enough = match (own.survives, &own.replay, own.reason) {
            (Some(true), Some(replay), _) => format!("This would have been enough: {}", clears(replay)),
            (_, Some(replay), _) => format!("This would not have been enough: {}", clears(replay)),
            (.., Some("irregular")) => "Fewer than half of its waits follow one schedule: nothing to replay".to_owned(),
            _ => "Too few retries, or failures that settled, to say whether it is enough".to_owned(),
        };
        let _ = writeln!(text, "  {enough}.");
    }
    text
}

fn shape(own: &OwnSchedule) -> String {
    let tried = format!("{} failures were tried again", own.failures);
    let (Some(base), Some(retries)) = (own.base_seconds, own.retries) else {
        return format!("{tried}: too few to say by which schedule.");
    };
    let factor = own.factor.map_or_else(String::new, |factor| format!(", each wait {factor} times the last"));
    let until = if own.retries_from == Some("gave_up") { "then gives up" } else { "as far as was seen" };
    format!(
        "{tried}: after {base:.1} s{factor}, {retries} retries, {until}; {} of {} waits fit.",
        own.fitting, own.of_waits
    )
}

fn clears(replay: &Replayed) -> String {
    format!(
        "it clears {} of the {} that settled, the last retry coming {:.1} s after the first attempt",
        replay.cleared, replay.settled, replay.span_seconds
    )
}

fn backoffs(all: &[Backoff]) -> String {
    let mut text = "\nTHE BACKOFF THAT WOULD HAVE BEEN ENOUGH\n".to_owned();
    for backoff in all {
        let _ = writeln!(text, "{}:", backoff.mechanism.as_deref().unwrap_or("All of them"));
        let Some(sentence) = backoff.sentence() else {
            let _ = writeln!(text, "  Too few to say ({} settled, {} did not).", backoff.settled, backoff.unsettled);
            continue;
        };
        let _ = writeln!(text, "  {sentence}");
        if let Some(replay) = &backoff.schedule {
            let (jitter, least) = (replay.schedule.jitter * 100.0, replay.least_span_seconds);
            let _ = writeln!(text, "  Replayed, {}", clears(replay));
            let _ = writeln!(
                text,
                "  ({least:.1} s if chance shortens every wait by {jitter:.0} %, which is what is judged)."
            );
        }
        if let Some(needed) = &backoff.needed {
            let _ = writeln!(text, "  The one that took so long:{}", cited(&needed.records));
        }
    }
    text
}

fn hours(hours: &[HourToAvoid]) -> String {
    let mut text = "\nHOURS TO AVOID (UTC)\n".to_owned();
    if hours.is_empty() {
        text.push_str(
            "None stands out: no hour with five cases or more is twice as bad as the others of its region.\n",
        );
    }
    for hour in hours {
        let region = region(hour.region.as_deref());
        let what = match (&hour.median, &hour.elsewhere_median, hour.per_thousand, hour.elsewhere_per_thousand) {
            (Some(here), Some(there), ..) => {
                let what = if hour.why.starts_with("holds") { "holds took" } else { "conflicts took" };
                format!(
                    "{what} {} (median of {}), in other hours {} ({})",
                    time(here),
                    hour.count,
                    time(there),
                    hour.elsewhere
                )
            }
            (_, _, Some(here), Some(there)) => {
                format!(
                    "{here} failures in 1000 attempts ({} failures), in other hours {there} ({})",
                    hour.count, hour.elsewhere
                )
            }
            _ => String::new(),
        };
        let _ = writeln!(text, "{region}, {:02}:00 to {:02}:59: {what}{}", hour.hour, hour.hour, cited(&hour.records));
    }
    text
}

fn credentials(credentials: &Credentials) -> String {
    let mut text = "\nCREDENTIALS WHILE RETRYING\n".to_owned();
    let span =
        credentials.span_seconds.map_or_else(|| "no schedule".to_owned(), |span| format!("{span:.1} s of retries"));
    let _ = match credentials.cuts {
        None if credentials.rotations == 0 => {
            writeln!(
                text,
                "No rotation of these callers' credentials is on record; against {span} nothing can be said."
            )
        }
        None => writeln!(
            text,
            "{} rotations are on record, but there is {span} to compare them with.",
            credentials.rotations
        ),
        Some(cuts) => writeln!(
            text,
            "{}: within {span} after the first failing attempt the credential was replaced for {} of {} failures{}.",
            if cuts { "A rotation would have cut in" } else { "No rotation would have cut in" },
            credentials.rotated_in_span,
            credentials.failures,
            cited(&credentials.records)
        ),
    };
    if let Some(shortest) = &credentials.shortest_between {
        let _ = writeln!(
            text,
            "The shortest time between two rotations of one caller: {}{}.",
            time(shortest),
            cited(&shortest.records)
        );
    }
    if credentials.lifetimes == 0 {
        text.push_str("How long issued credentials live is not in the events as they are read: unknown.\n");
    }
    text
}
