//! One object: what the list says of it, and what is kept of it once it has been read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use object_store::ObjectMeta;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::bucket::{Bucket, Fetched, quoted};

/// Bytes asked for in one request, at most.
pub(super) const PART: u64 = 4 * 1024 * 1024;
/// Objects behind the one that is being read whose first parts are asked for ahead of time, within the room in KiB.
const AHEAD: usize = 32;
const ROOM: usize = 32 * 1024;
/// Bytes of all objects that are kept in a temporary file for the second reading; the rest is asked for again.
const KEPT_AT_MOST: u64 = 16 << 30;

static AHEAD_ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(ROOM)));

/// An object as listed.
pub(super) struct Listed {
    pub(super) url: String,
    pub(super) meta: ObjectMeta,
    pub(super) bucket: Arc<Bucket>,
    /// The `ETag` that all its bytes must carry: that of the list, or else that of the first bytes.
    pub(super) tag: OnceLock<String>,
}

impl Listed {
    pub(super) fn new(url: String, meta: ObjectMeta, bucket: Arc<Bucket>) -> Self {
        let tag = meta.e_tag.as_deref().map_or_else(OnceLock::new, |tag| OnceLock::from(quoted(tag)));
        Self { url, meta, bucket, tag }
    }
}

/// An object in a store.
pub struct Object {
    listed: Listed,
    handle: Handle,
    /// The object that is read after this one.
    next: OnceLock<Weak<Object>>,
    copy: Arc<Copy>,
    /// Where its bytes lie in the copy.
    base: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the first part was ever asked for, and that part until somebody takes it.
    started: bool,
    first: Option<Part>,
    /// The first bytes, by which packing is told.
    head: Vec<u8>,
    /// Bytes from the start that lie in the copy.
    kept: u64,
    /// Where it could not be read on, and why.
    failure: Option<(u64, String)>,
}

/// What was read of all objects, in a file without a name: records are read twice, and a store is paid by the byte.
struct Copy(Option<Mutex<File>>);

/// A part under way.
pub(super) struct Part {
    task: JoinHandle<Fetched>,
    /// Given back when somebody takes the part.
    room: Option<OwnedSemaphorePermit>,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Objects in the order in which they will be read.
pub(super) fn in_a_row(listed: impl Iterator<Item = Listed>, handle: &Handle) -> Vec<Arc<Object>> {
    let copy = Arc::new(Copy(tempfile::tempfile().ok().map(Mutex::new)));
    let mut end = 0u64;
    let object = |listed: Listed| {
        let base = end;
        end = end.saturating_add(listed.meta.size);
        let (handle, copy) = (handle.clone(), copy.clone());
        Arc::new(Object { listed, handle, next: OnceLock::new(), copy, base, state: Mutex::default() })
    };
    let objects: Vec<Arc<Object>> = listed.map(object).collect();
    for pair in objects.windows(2) {
        let _ = pair[0].next.set(Arc::downgrade(&pair[1]));
    }
    objects
}

impl Object {
    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.listed.url
    }

    /// Its size as listed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.listed.meta.size
    }

    /// Its `ETag`, if the list has it or its first bytes had.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.listed.tag.get().map(String::as_str)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for `range`.
    pub(super) fn ask(self: &Arc<Self>, range: Range<u64>) -> Part {
        let object = self.clone();
        let task = self.handle.spawn(async move { object.listed.bucket.get(&object.listed, range).await });
        Part { task, room: None }
    }

    /// Waits for `part`, which begins at `offset`, and keeps what came.
    pub(super) fn take(&self, mut part: Part, offset: u64) -> Vec<u8> {
        let fetched = self.handle.block_on(&mut part.task).unwrap_or_else(|e| {
            let failure = Some(format!("asking for it failed: {e}"));
            Fetched { bytes: Vec::new(), failure }
        });
        let mut state = self.state();
        if offset == 0 {
            state.head = fetched.bytes[..fetched.bytes.len().min(4)].to_vec();
        }
        if offset == state.kept && self.copy.write(self.base.saturating_add(offset), &fetched.bytes) {
            state.kept += fetched.bytes.len() as u64;
        }
        if let Some(reason) = fetched.failure {
            let from = offset + fetched.bytes.len() as u64;
            if state.failure.as_ref().is_none_or(|(before, _)| from < *before) {
                state.failure = Some((from, reason));
            }
        }
        fetched.bytes
    }

    /// The first part, if it was asked for ahead of time; otherwise `None`. The first to call this asks for the first
    /// parts of the objects behind this one.
    pub(super) fn first(self: &Arc<Self>) -> Option<Part> {
        let (before, first) = {
            let mut state = self.state();
            (std::mem::replace(&mut state.started, true), state.first.take())
        };
        if !before || first.is_some() {
            let mut next = self.next.get().and_then(Weak::upgrade);
            for _ in 0..AHEAD {
                let Some(object) = next.filter(Self::ask_ahead) else { break };
                next = object.next.get().and_then(Weak::upgrade);
            }
        }
        first
    }

    /// Asks for the first part if nobody has; says whether there was room.
    fn ask_ahead(self: &Arc<Self>) -> bool {
        let mut state = self.state();
        let bytes = self.size().min(PART);
        if state.started || bytes == 0 {
            return true;
        }
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let Ok(room) = AHEAD_ROOM.clone().try_acquire_many_owned(kib) else { return false };
        state.started = true;
        let part = state.first.insert(self.ask(0..bytes));
        part.room = Some(room);
        true
    }

    /// Bytes at `offset` that need not be asked for: how many there are, 0 at the end, `None` if they must be.
    ///
    /// # Errors
    /// Nothing can be read from here on, or the copy cannot be read.
    pub(super) fn at_hand(&self, offset: u64, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let state = self.state();
        if offset >= self.size() {
            return Ok(Some(0));
        }
        if offset < state.kept {
            let wanted = usize::try_from(state.kept - offset).unwrap_or(usize::MAX).min(buf.len());
            drop(state);
            return self.copy.read(self.base + offset, &mut buf[..wanted]).map(Some);
        }
        if let Some((_, reason)) = state.failure.as_ref().filter(|(from, _)| offset >= *from) {
            return Err(io::Error::other(reason.clone()));
        }
        let head = usize::try_from(offset).ok().and_then(|at| state.head.get(at..)).filter(|head| !head.is_empty());
        Ok(head.map(|head| {
            let n = head.len().min(buf.len());
            buf[..n].copy_from_slice(&head[..n]);
            n
        }))
    }
}

impl Copy {
    fn write(&self, at: u64, bytes: &[u8]) -> bool {
        let Some(file) = &self.0 else { return false };
        if at.saturating_add(bytes.len() as u64) > KEPT_AT_MOST {
            return false;
        }
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes)).is_ok()
    }

    fn read(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let file = self.0.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read(buf)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Object").field(&self.listed.url).finish()
    }
}

/// One object is listed once, so it is its URL.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.listed.url == other.listed.url
    }
}

impl Eq for Object {}
