//! What is in one container.

use std::sync::Arc;

use super::member::{Data, Packing};
use super::spell::{BETWEEN, LONGEST, spelled};
use super::view::View;
use crate::evidence::{Reject, Rejects};

/// The members of a container in their order, and what was not read of it.
#[derive(Default)]
pub struct Listing {
    pub members: Vec<Listed>,
    /// What was passed over: links, devices, bytes of no member. To be put right behind the container's name.
    pub notes: Vec<String>,
    pub rejects: Rejects,
}

/// One regular member.
pub struct Listed {
    pub name: Vec<u8>,
    pub size: u64,
    /// Where it is, or why it is not read.
    pub what: Result<Range, String>,
}

/// Where the bytes of a member are in the container.
pub struct Range {
    pub start: u64,
    pub len: u64,
    pub packing: Packing,
    pub crc: Option<u32>,
    pub cut: Option<Arc<str>>,
}

impl Range {
    /// That in `view`, of a member of `size` bytes.
    pub fn data(self, view: &View, size: u64) -> Data {
        let Self { start, len, packing, crc, cut } = self;
        Data { view: view.part(start, len), packing, size, crc, cut }
    }
}

impl Listing {
    /// Notes that a member was passed over.
    pub fn pass_over(&mut self, name: &[u8], what: &str) {
        let name = spelled(&name[..name.len().min(LONGEST)]);
        self.notes.push(format!("{BETWEEN}{name}: {what}"));
    }

    /// Names something that could not be read.
    pub fn reject(&mut self, offset: u64, reason: String) {
        let record = self.rejects.records();
        self.rejects.push(Reject::new(record, offset, reason));
    }
}
