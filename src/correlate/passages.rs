//! Who got through which step and who did not, by media type, and how many attempts there were in which hour: what advice
//! is learned from. Gone through share by share, so that it takes little memory however many jobs there are.

use std::collections::{BTreeMap, HashMap};

use super::columns::{Column, known};
use super::outline::{Block, Id, IdHash, Outline, flag};
use super::symbols::Symbol;
use crate::error::Result;
use crate::evidence::Locator;
use crate::ingest::Text;
use crate::spill::{Size, Tell, by_share, halves, joined};

/// Media of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Media {
    /// All of them, and those that are not known.
    All,
    /// One media type.
    One(Symbol),
    /// Neither the record nor its job says.
    Unknown,
}

/// Attempts of one job at a step, by one caller.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    pub step: Symbol,
    pub media: Media,
    pub principal: Symbol,
    /// 0 for attempts of no job.
    pub job: IdHash,
    /// Attempts that got through, when the first did, and the first record of one.
    pub ok: u64,
    pub ok_at: Option<i64>,
    pub first_ok: Option<Locator>,
    /// The same of those that failed.
    pub failed: u64,
    pub failed_at: Option<i64>,
    pub first_failed: Option<Locator>,
}

/// Step, media, caller and job.
type Key = (Symbol, Media, Symbol, IdHash);
type Groups = HashMap<Key, Passage, foldhash::fast::RandomState>;

/// Attempts whose jobs are grouped at a time.
const GROUPED: usize = 1 << 18;
const LOOKED_AT: [Column; 6] =
    [Column::Time, Column::Phase, Column::Principal, Column::Media, Column::Id(Id::Job), Column::At];

/// Tells `each` of every passage, in order of the jobs' hashes: once for each media type of a job, and once for all of them.
///
/// # Errors
/// The outline cannot be read; those of `each`.
pub fn passages(outline: &Outline, mut each: impl FnMut(&Passage) -> Result<()>) -> Result<()> {
    let size = Size { expected: outline.count(flag::ATTEMPT), most: GROUPED };
    by_share(
        size,
        |tell| tell_all(outline, tell),
        Groups::default,
        note,
        |groups| {
            let mut passages: Vec<&Passage> = groups.values().collect();
            passages.sort_unstable_by_key(|passage| (passage.job, passage.step, passage.media, passage.principal));
            passages.into_iter().try_for_each(&mut each)
        },
    )
}

/// Tells of each attempt its job, step and caller, media type and flags, time and place.
fn tell_all(outline: &Outline, tell: &mut Tell<'_, 8>) -> Result<()> {
    outline.tell(
        &LOOKED_AT,
        |block, say| {
            let jobs = block.id(Id::Job);
            for n in block.places().filter(|n| block.is(*n, flag::ATTEMPT)) {
                let job = outline.jobs.get(jobs[n]);
                let principal = match block.names(Column::Principal)[n] {
                    0 => job.map_or(0, |job| job.of(Text::Principal)),
                    own => own,
                };
                if principal == 0 {
                    continue;
                }
                let stated = || job.filter(|job| !job.several_media).map_or(0, |job| job.of(Text::MediaType));
                let media = match block.names(Column::Media)[n] {
                    0 => stated(),
                    own => own,
                };
                let flags =
                    [flag::FAILING, flag::OK].into_iter().filter(|flag| block.is(n, *flag)).map(u32::from).sum();
                let caller = joined(block.names(Column::Phase)[n], principal);
                let [file, record, offset, length] = block.at[n].to_words();
                let time = block.time[n].cast_unsigned();
                say(jobs[n], [jobs[n], caller, joined(media, flags), time, file, record, offset, length]);
            }
        },
        tell,
    )
}

fn note(groups: &mut Groups, [job, caller, media, time, file, record, offset, length]: [u64; 8]) {
    let ([step, principal], [media, flags]) = (halves(caller), halves(media));
    let (time, at) = (known(time), Locator::from_words([file, record, offset, length]));
    let media = if media == 0 { Media::Unknown } else { Media::One(media) };
    for media in [Media::All, media] {
        let group = groups.entry((step, media, principal, job)).or_insert_with(|| Passage {
            step,
            media,
            principal,
            job,
            ok: 0,
            ok_at: None,
            first_ok: None,
            failed: 0,
            failed_at: None,
            first_failed: None,
        });
        let least = |held: Option<i64>| [held, time].into_iter().flatten().min();
        if flags & u32::from(flag::OK) != 0 {
            group.ok += 1;
            group.ok_at = least(group.ok_at);
            group.first_ok = group.first_ok.or(Some(at));
        }
        if flags & u32::from(flag::FAILING) != 0 {
            group.failed += 1;
            group.failed_at = least(group.failed_at);
            group.first_failed = group.first_failed.or(Some(at));
        }
    }
}

/// Hours of a day, UTC.
pub const HOURS: usize = 24;
const HOUR: i64 = 3_600_000_000;

/// The hour of the day of a time, UTC.
#[must_use]
pub fn hour_of_day(time: i64) -> usize {
    usize::try_from(time.div_euclid(HOUR).rem_euclid(24)).unwrap_or(0)
}

/// Attempts by region, where it is known, and hour of the day.
///
/// # Errors
/// The outline cannot be read.
pub fn attempts_by_hour(outline: &Outline) -> Result<BTreeMap<Symbol, [u64; HOURS]>> {
    let columns = [Column::Time, Column::Region, Column::Id(Id::Job)];
    let of_block = |block: &Block<'_>| {
        let mut found: BTreeMap<Symbol, [u64; HOURS]> = BTreeMap::new();
        for n in block.places().filter(|n| block.is(*n, flag::ATTEMPT)) {
            let stated = || outline.jobs.get(block.id(Id::Job)[n]).map_or(0, |job| job.of(Text::Region));
            let region = match block.names(Column::Region)[n] {
                0 => stated(),
                own => own,
            };
            if let Some(time) = block.known_time(n) {
                found.entry(region).or_default()[hour_of_day(time)] += 1;
            }
        }
        found
    };
    let mut found: BTreeMap<Symbol, [u64; HOURS]> = BTreeMap::new();
    for (region, counts) in outline.look(&columns, of_block)?.into_iter().flatten() {
        found.entry(region).or_default().iter_mut().zip(counts).for_each(|(sum, more)| *sum += more);
    }
    Ok(found)
}

/// The regions that the records at `places` (ascending) state; 0 where one states none.
///
/// # Errors
/// The outline cannot be read.
pub fn regions_at(outline: &Outline, places: &[Locator]) -> Result<Vec<Symbol>> {
    let of_block = |block: &Block<'_>| -> Vec<(usize, Symbol)> {
        // Rows are in the order of the archive, which is that of their places.
        let (Some(first), Some(last)) = (block.at.first(), block.at.last()) else { return Vec::new() };
        let start = places.partition_point(|place| place < first);
        let within = places[start..].iter().take_while(|place| *place <= last);
        let found = within.enumerate().filter_map(|(n, place)| {
            let row = block.at.binary_search(place).ok()?;
            Some((start + n, block.names(Column::Region)[row]))
        });
        found.collect()
    };
    let mut regions = vec![0; places.len()];
    for (place, region) in outline.look(&[Column::Region, Column::At], of_block)?.into_iter().flatten() {
        regions[place] = region;
    }
    Ok(regions)
}
