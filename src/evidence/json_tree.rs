//! Records inside JSON documents: the elements of a top-level array, or of the list a vendor wraps them in, or whole
//! top-level objects. Works on a stream: nothing but the record at hand is held.

use memchr::memchr3;

use super::framer::{Cut, Split};
use super::lines::{bom_length, too_long};
use super::paging::Paging;

/// The members of a top-level object that may hold the records: CloudTrail deliveries, Genesys result pages, the output of
/// `aws cloudtrail lookup-events`.
pub(super) const WRAPPERS: [&str; 3] = ["Records", "entities", "Events"];
/// Longest of their names, and of those of members that speak of paging.
const LONGEST: usize = 10;
const MAX_DEPTH: u32 = 128;
const NEXT_BEGINS: &str = "the next record begins before this one ends";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between top-level values.
    Between,
    /// In a top-level object, not in a list of records.
    Object,
    /// In a list of records, between two of them.
    List,
    /// In a record.
    Record,
    /// In something that is neither object nor array; it ends at a comma, a bracket or a line feed.
    Stray,
    /// After a broken record, until a line that begins with a brace.
    Lost,
}

/// Splits JSON documents into records.
pub(super) struct JsonTree {
    limit: u64,
    /// Names of the members that lead to the list of records; empty where it is one of the wrappers.
    path: Vec<String>,
    /// How many of them the object at hand lies below.
    level: u32,
    /// Whether what comes next is the object that the path goes on in.
    descends: bool,
    /// Whether a list of records has been found in an object.
    pub(super) has_list: bool,
    state: State,
    /// Whether the list of records is a member of a top-level object.
    in_object: bool,
    /// Whether records are read from a list, as opposed to being top-level objects themselves.
    in_list: bool,
    depth: u32,
    /// Bit per depth: set for objects, clear for arrays.
    kinds: u128,
    in_string: bool,
    escaped: bool,
    /// Last byte outside strings that is not white space.
    previous: u8,
    /// First bytes of the last string in the object at hand, to know the wrapper's name; and how many are enough.
    key: Vec<u8>,
    enough: usize,
    wrapper_next: bool,
    paging: Paging,
    start: Option<u64>,
    overlong: bool,
    scanned: u64,
}

impl JsonTree {
    pub(super) fn new(limit: u64) -> Self {
        Self::at(limit, Vec::new())
    }

    /// Records lie in the list that `path` leads to, from a top-level object on.
    pub(super) fn at(limit: u64, path: Vec<String>) -> Self {
        Self {
            limit,
            enough: path.iter().map(String::len).max().unwrap_or(LONGEST),
            path,
            level: 0,
            descends: false,
            has_list: false,
            state: State::Between,
            in_object: false,
            in_list: false,
            depth: 0,
            kinds: 0,
            in_string: false,
            escaped: false,
            previous: b'\n',
            key: Vec::new(),
            wrapper_next: false,
            paging: Paging::default(),
            start: None,
            overlong: false,
            scanned: 0,
        }
    }

    fn open(&mut self, byte: u8) {
        self.depth += 1;
        if self.depth < MAX_DEPTH {
            let bit = 1u128 << self.depth;
            self.kinds = if byte == b'{' { self.kinds | bit } else { self.kinds & !bit };
        }
    }

    fn in_an_object(&self) -> bool {
        self.depth < MAX_DEPTH && self.kinds >> self.depth & 1 == 1
    }

    fn begin(&mut self, state: State, at: u64, byte: u8) {
        self.state = state;
        self.start = Some(at);
        self.overlong = false;
        self.depth = 0;
        if state == State::Object {
            self.level = 0;
            self.descends = false;
        }
        if state != State::Stray {
            self.open(byte);
        }
    }

    fn emit(&mut self, base: u64, end: u64, cuts: &mut Vec<Cut>) {
        let Some(start) = self.start.take() else { return };
        if std::mem::take(&mut self.overlong) || end - start > self.limit {
            cuts.push(too_long(start, end - start, self.limit));
        } else {
            // Both lie in the data at hand: bytes from `start` on are never given up before the record ends.
            #[expect(clippy::cast_possible_truncation, reason = "differences within a buffer")]
            cuts.push(Cut::Record((start - base) as usize..(end - base) as usize));
        }
    }

    /// The record at hand cannot be JSON: give it up and look for the next.
    fn give_up(&mut self, at: u64, reason: &str, cuts: &mut Vec<Cut>) {
        if let Some(offset) = self.start.take() {
            cuts.push(Cut::Broken { offset, reason: format!("not JSON: {reason} at offset {at}") });
        }
        self.in_string = false;
        self.overlong = false;
        self.depth = 0;
    }

    /// Begins a record: an element of the list, or a top-level object.
    fn begin_record(&mut self, at: u64, byte: u8) {
        self.begin(if self.in_list { State::Record } else { State::Object }, at, byte);
    }

    fn enter_list(&mut self, in_object: bool) {
        self.in_object = in_object;
        self.has_list |= in_object;
        self.in_list = true;
        self.state = State::List;
    }

    /// One byte outside strings. `at` is its stream offset.
    fn step(&mut self, byte: u8, at: u64, base: u64, cuts: &mut Vec<Cut>) {
        match self.state {
            State::Between => self.between(byte, at),
            State::List => self.list(byte, at),
            State::Object => self.object(byte, at, base, cuts),
            State::Record => self.record(byte, at, base, cuts),
            State::Stray => {
                if matches!(byte, b',' | b']' | b'\n') {
                    self.emit(base, at, cuts);
                    if self.in_list {
                        self.state = State::List;
                        self.list(byte, at);
                    } else {
                        self.state = State::Between;
                    }
                }
            }
            State::Lost => {
                if byte == b'{' && self.previous == b'\n' {
                    self.begin_record(at, byte);
                }
            }
        }
        if !matches!(byte, b' ' | b'\t' | b'\r') && (byte != b'\n' || self.state == State::Lost) {
            self.previous = byte;
        }
    }

    fn between(&mut self, byte: u8, at: u64) {
        match byte {
            b'{' => {
                self.begin(State::Object, at, byte);
                self.paging.begin();
            }
            b'[' => self.enter_list(false),
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'}' => {}
            _ => self.begin(State::Stray, at, byte),
        }
    }

    fn list(&mut self, byte: u8, at: u64) {
        match byte {
            b'{' | b'[' => self.begin(State::Record, at, byte),
            b']' => {
                self.in_list = false;
                self.state = if self.in_object { State::Object } else { State::Between };
                // Back in the object that the list is a member of, and those around it.
                self.depth = 0;
                (0..=self.level).for_each(|_| self.open(b'{'));
            }
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {}
            _ => {
                self.begin(State::Stray, at, byte);
                self.in_string = byte == b'"';
            }
        }
    }

    fn object(&mut self, byte: u8, at: u64, base: u64, cuts: &mut Vec<Cut>) {
        match byte {
            b'"' => {
                self.in_string = true;
                if self.on_the_way() {
                    self.key.clear();
                }
            }
            b':' if self.on_the_way() => {
                self.note_key();
                return;
            }
            b'[' if self.wrapper_next => {
                self.start = None;
                self.overlong = false;
                self.paging.list(&self.key);
                self.enter_list(true);
            }
            b'{' if self.start.is_some() && self.brace_out_of_place() => {
                self.give_up(at, NEXT_BEGINS, cuts);
                self.begin_record(at, byte);
            }
            b'{' | b'[' => {
                self.level += u32::from(byte == b'{' && self.descends);
                self.paging.nested();
                self.open(byte);
            }
            b'}' | b']' => {
                self.depth -= 1;
                self.level = self.level.min(self.depth.saturating_sub(1));
                if self.depth == 0 {
                    self.emit(base, at + 1, cuts);
                    self.paging.end_value();
                    cuts.extend(self.paging.end().map(Cut::Page));
                    self.state = State::Between;
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' => return,
            b',' if self.depth == 1 => self.paging.end_value(),
            _ => self.paging.bytes(&[byte]),
        }
        self.wrapper_next = false;
        self.descends = false;
    }

    /// Whether the members at hand are those of the object that the path has led to so far.
    fn on_the_way(&self) -> bool {
        self.depth == self.level + 1
    }

    /// A colon: the last string was the name of a member.
    fn note_key(&mut self) {
        if self.path.is_empty() {
            self.wrapper_next = WRAPPERS.iter().any(|w| w.as_bytes() == self.key);
            self.paging.name(&self.key);
            return;
        }
        let level = self.level as usize;
        let on_path = self.path.get(level).is_some_and(|name| name.as_bytes() == self.key);
        let last = level + 1 == self.path.len();
        (self.wrapper_next, self.descends) = (on_path && last, on_path && !last);
    }

    /// A byte outside texts; those that open or close nothing say nothing.
    fn record(&mut self, byte: u8, at: u64, base: u64, cuts: &mut Vec<Cut>) {
        match byte {
            b'{' if self.brace_out_of_place() => {
                self.give_up(at, NEXT_BEGINS, cuts);
                self.begin_record(at, byte);
            }
            b'{' | b'[' => self.open(byte),
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.emit(base, at + 1, cuts);
                    self.state = State::List;
                }
            }
            _ => {}
        }
    }

    /// An object can only begin after a colon, after a bracket, or after a comma in an array.
    fn brace_out_of_place(&self) -> bool {
        match self.previous {
            b':' | b'[' => false,
            b',' => self.in_an_object(),
            _ => self.depth > 0,
        }
    }

    fn string(&mut self, data: &[u8], from: usize, base: u64, cuts: &mut Vec<Cut>) -> usize {
        if std::mem::take(&mut self.escaped) {
            return from + 1;
        }
        let found = memchr3(b'"', b'\\', b'\n', &data[from..]);
        let end = found.map_or(data.len(), |n| from + n);
        if self.state == State::Object && self.on_the_way() && self.key.len() <= self.enough {
            self.key.extend_from_slice(&data[from..end.min(from + self.enough + 1)]);
        }
        if self.state == State::Object && self.depth == 1 {
            self.paging.bytes(&data[from..end]);
        }
        match found.map(|_| data[end]) {
            None => return end,
            Some(b'\\') => self.escaped = true,
            Some(b'"') => {
                self.in_string = false;
                self.previous = b'"';
            }
            Some(_) => {
                self.give_up(base + end as u64, "a line feed inside a string", cuts);
                self.state = State::Lost;
                self.previous = b'\n';
            }
        }
        end + 1
    }

    /// In a record, from somewhere outside its texts on: goes on to its end, or to a text that has more than characters in
    /// it. Returns where.
    fn within_record(&mut self, data: &[u8], from: usize, base: u64, cuts: &mut Vec<Cut>) -> usize {
        let mut i = from;
        while self.state == State::Record
            && let Some(byte) = data.get(i)
        {
            i += 1;
            match byte {
                b'"' => {
                    self.previous = b'"';
                    let Some(end) = end_of_text(&data[i..]) else {
                        self.in_string = true;
                        return i;
                    };
                    i += end + 1;
                }
                b'{' | b'[' | b'}' | b']' => self.step(*byte, base + (i - 1) as u64, base, cuts),
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => self.previous = *byte,
            }
        }
        i
    }

    fn finish(&mut self, data: &[u8], base: u64, cuts: &mut Vec<Cut>) {
        let end = base + data.len() as u64;
        if self.start.is_some() {
            if self.state == State::Stray {
                self.emit(base, end, cuts);
            } else {
                self.give_up(end, "the document ends inside this record", cuts);
            }
        } else if matches!(self.state, State::List | State::Object) {
            cuts.push(Cut::Broken {
                offset: end,
                reason: "the document ends before its closing bracket; it was cut off, get a whole copy".to_owned(),
            });
        }
    }
}

/// How far the quotation mark is that ends a text, where neither a backslash nor a line feed comes before it.
fn end_of_text(rest: &[u8]) -> Option<usize> {
    let at = memchr3(b'"', b'\\', b'\n', rest)?;
    (rest[at] == b'"').then_some(at)
}

impl Split for JsonTree {
    fn split(&mut self, data: &[u8], base: u64, eof: bool, cuts: &mut Vec<Cut>) -> usize {
        let mut i = usize::try_from(self.scanned.saturating_sub(base)).unwrap_or(0);
        if base == 0 && i == 0 {
            i = bom_length(data);
        }
        while i < data.len() {
            if self.in_string {
                i = self.string(data, i, base, cuts);
            } else if self.state == State::Record {
                i = self.within_record(data, i, base, cuts);
            } else {
                self.step(data[i], base + i as u64, base, cuts);
                i += 1;
            }
        }
        self.scanned = base + i as u64;
        if eof {
            self.finish(data, base, cuts);
            return data.len();
        }
        match self.start {
            Some(start) if base + data.len() as u64 - start > self.limit => {
                self.overlong = true;
                data.len()
            }
            Some(start) if !self.overlong => usize::try_from(start - base).unwrap_or(0),
            _ => data.len(),
        }
    }
}
