//! From files to the members of those that are containers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::bounds::{Bounds, Budget, FLOOR};
use super::feed::{Feed, Rest};
use super::listing::{Listed, Listing};
use super::member::{Data, Member, Packing};
use super::spell::{BETWEEN, repeated, spelled};
use super::tape::Store;
use super::view::View;
use super::{Kind, Look, look, tar, zip};
use crate::error::{Error, Result};
use crate::evidence::source::Source;
use crate::evidence::{Digest, Encoding, Input, Name, Place, Reject, Rejects, Stream};

/// A container, which is hashed as it was found and holds no records itself.
pub struct Container {
    /// Where it is.
    pub place: Place,
    /// What it is: `tar`, `zip`, and how it is packed.
    pub format: String,
    /// Members that are inputs of their own.
    pub members: u64,
    /// What could not be read of it, members aside.
    pub rejects: Rejects,
    /// What is another when the content is, as it was before it was read.
    pub version: Option<String>,
    digest: OnceLock<(Digest, u64)>,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} of {} members in {:?}", self.format, self.members, self.place)
    }
}

impl Container {
    /// SHA-256 and size as found, computed once.
    ///
    /// # Errors
    /// It cannot be read to its end.
    pub fn digest(&self) -> std::io::Result<(Digest, u64)> {
        if let Some(known) = self.digest.get() {
            return Ok(*known);
        }
        let digest = Stream::open(&self.place)?.finish()?;
        Ok(*self.digest.get_or_init(|| digest))
    }
}

/// One and the same only.
impl PartialEq for Container {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Container {}

/// Puts the members of containers behind these, in the order of their names. Also says what was passed over.
///
/// # Errors
/// There is no room on the disk for what must be unpacked.
pub fn expand(inputs: Vec<Input>, bounds: Bounds) -> Result<(Vec<Input>, Vec<String>)> {
    let store = Arc::new(Store::default());
    let one = |input: Input| -> Result<(Vec<Input>, Vec<String>)> {
        let look = match &input.place {
            Place::File(_) | Place::Stream(_) => Source::open(&input.place).ok().map(look),
            _ => None,
        };
        let Some(look) = look.filter(|look| look.kind.is_some()) else { return Ok((vec![input], Vec::new())) };
        let mut outer = Outer {
            name: input.label.to_string(),
            budget: Budget::new(bounds, input.bytes),
            bounds,
            store: &store,
            found: Vec::new(),
            packed: Vec::new(),
            skipped: Vec::new(),
        };
        outer.container(input, look, 1)?;
        Ok(outer.finish())
    };
    let parts = inputs.into_par_iter().with_min_len(8).map(one).collect::<Result<Vec<_>>>()?;
    let (mut inputs, mut skipped) = (Vec::with_capacity(parts.len()), Vec::new());
    for (more, notes) in parts {
        inputs.extend(more);
        skipped.extend(notes);
    }
    inputs.sort_by(|a, b| a.label.cmp(&b.label));
    Ok((inputs, skipped))
}

/// Says that there is no room on the disk for what must be unpacked.
pub fn disk(label: &str, error: &std::io::Error) -> Error {
    let reason = format!("{error}; set TMPDIR to a folder with more room");
    Error::io(label, "unpacking it to a temporary file", std::io::Error::other(reason))
}

/// One file and all that is in it, at all levels.
struct Outer<'a> {
    name: String,
    budget: Budget,
    bounds: Bounds,
    store: &'a Arc<Store>,
    found: Vec<Input>,
    /// Members that are packed themselves.
    packed: Vec<Arc<Member>>,
    skipped: Vec<String>,
}

impl Outer<'_> {
    /// Takes in a container that lies in `depth - 1` others.
    fn container(&mut self, input: Input, look: Look, depth: u32) -> Result<()> {
        let Input { label, place, bytes } = input;
        let version = place.version();
        let open = match (direct(&place), look.encoding) {
            (Some(view), Encoding::Plain) => view.and_then(Feed::plain),
            _ => Feed::pumped(&label, &place, self.store, (self.budget.room(), self.budget.no_room(&self.name))),
        };
        let mut rejects = Rejects::default();
        let (listing, rest) = match open {
            Ok(feed) => self.list(feed, look.kind)?,
            Err(error) => {
                let reason = format!("the archive cannot be opened: {error}");
                rejects.push(Reject::new(0, 0, reason));
                (Listing::default(), None)
            }
        };
        let (view, digest) = rest.map_or((None, None), |rest| (Some(rest.view), rest.digest));
        rejects.extend(listing.rejects);
        let kind = look.kind.map_or("", Kind::name);
        let format = match look.encoding {
            Encoding::Plain | Encoding::Parquet => kind.to_owned(),
            Encoding::Gzip => format!("{kind}, gzip"),
            Encoding::Zstd => format!("{kind}, zstd"),
        };
        let members = listing.members.len() as u64;
        let digest = digest.map_or_else(OnceLock::new, OnceLock::from);
        let container = Container { place, format, members, rejects, version, digest };
        self.skipped.extend(listing.notes.into_iter().map(|note| format!("{label}{note}")));
        self.found.push(Input { label: label.clone(), place: Place::Container(Arc::new(container)), bytes });
        match view {
            Some(view) => self.members(&label, &view, listing.members, depth),
            None => Ok(()),
        }
    }

    fn list(&mut self, mut feed: Feed, kind: Option<Kind>) -> Result<(Listing, Option<Rest>)> {
        let name = self.name.clone();
        let (listing, rest) = if kind == Some(Kind::Tar) {
            let listing = tar::list(&mut feed, &mut self.budget, &name)?;
            (listing, feed.finish())
        } else {
            feed.all()?;
            let (failure, refused) = (feed.failure().map(str::to_owned), feed.is_refused());
            let rest = feed.finish();
            let listing = match rest.view.open() {
                Ok(window) if !refused => zip::list(&window, failure.as_deref(), &mut self.budget, &name),
                _ => {
                    let mut listing = Listing::default();
                    let reason = failure.unwrap_or_else(|| "the archive cannot be opened".to_owned());
                    listing.reject(rest.view.len, format!("nothing in it is read: {reason}"));
                    listing
                }
            };
            (listing, rest)
        };
        self.budget.taken(rest.unpacked);
        Ok((listing, Some(rest)))
    }

    /// Takes in the members of a container.
    fn members(&mut self, label: &Name, view: &View, listed: Vec<Listed>, depth: u32) -> Result<()> {
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut members = Vec::with_capacity(listed.len());
        for Listed { name, size, what } in listed {
            let data = what.and_then(|range| self.fitting(range.data(view, size)));
            // What an archive says of a member that is not read, or not all there, may be anything.
            let size = data.as_ref().map_or(0, Data::most);
            let name = spelled(&name);
            let nth = names.entry(name.clone()).or_default();
            *nth += 1;
            let member = format!("{label}{BETWEEN}{}", repeated(&name, *nth));
            members.push((Name::from(member), Member { container: label.clone(), data, size, share: OnceLock::new() }));
        }
        let looks: Vec<Option<Look>> = members.par_iter().map(|(_, member)| member.open().ok().map(look)).collect();
        for ((label, mut member), look) in members.into_iter().zip(looks) {
            let (bytes, inner) = (member.size, look.filter(|look| look.kind.is_some()));
            if let Some(inner) = inner.filter(|_| depth >= self.bounds.depth) {
                member.data = Err(format!(
                    "a {} inside {depth} other archives; raise --max-depth if it is genuine, or unpack it yourself",
                    inner.kind.map_or("", Kind::name)
                ));
            } else if let Some(inner) = inner {
                self.container(Input { label, place: Place::Member(Arc::new(member)), bytes }, inner, depth + 1)?;
                continue;
            }
            let member = Arc::new(member);
            if look.is_some_and(|look| look.encoding != Encoding::Plain) {
                self.packed.push(Arc::clone(&member));
            }
            self.found.push(Input { label, place: Place::Member(member), bytes });
        }
        Ok(())
    }

    /// Whether what a member unpacks to may come out.
    fn fitting(&mut self, data: Data) -> std::result::Result<Data, String> {
        if data.packing == Packing::Stored || self.budget.take(data.size) {
            Ok(data)
        } else {
            Err(self.budget.too_much(&self.name))
        }
    }

    /// Shares out what may still come out among the members that are packed themselves, by their size.
    fn finish(self) -> (Vec<Input>, Vec<String>) {
        let reason: Arc<str> = self.budget.too_much(&self.name).into();
        let all: u64 = self.packed.iter().map(|member| member.size).sum();
        let rest = u128::from(self.budget.rest().max(FLOOR));
        for member in &self.packed {
            let share = rest * u128::from(member.size) / u128::from(all.max(1));
            let _ = member.share.set((u64::try_from(share).unwrap_or(u64::MAX), Arc::clone(&reason)));
        }
        (self.found, self.skipped)
    }
}

/// A place that can be read from anywhere.
fn direct(place: &Place) -> Option<std::io::Result<View>> {
    match place {
        Place::File(path) => Some(View::of_file(path)),
        Place::Stream(_) => Some(View::of_file(place.path())),
        Place::Member(member) => match &member.data {
            Ok(data) if data.packing == Packing::Stored => Some(Ok(data.view.clone())),
            _ => None,
        },
        _ => None,
    }
}
