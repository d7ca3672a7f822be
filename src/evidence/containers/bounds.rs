//! How much a container may hold.

use serde::{Deserialize, Serialize};

/// Bounds on what comes out of one file, at all levels together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// How many times its size a file may unpack to (`--max-expansion`).
    pub expansion: u64,
    /// Bytes of temporary disk it may take (`--max-unpacked-bytes`).
    pub unpacked: u64,
    /// Members it may hold (`--max-members`).
    pub members: u64,
    /// Containers inside one another (`--max-depth`).
    pub depth: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { expansion: 250, unpacked: 64 << 30, members: 1_000_000, depth: 4 }
    }
}

/// However small a file is, it may unpack to this: small files of many alike records are packed by more than the bound.
pub const FLOOR: u64 = 256 * 1024 * 1024;

/// What may still come out of a file.
pub struct Budget {
    bounds: Bounds,
    /// Bytes that may come out in all.
    limit: u64,
    used: u64,
    on_disk: u64,
    members: u64,
}

/// Bytes of a name that count for a member: names are held in memory.
const NAME: u64 = 256;

impl Budget {
    /// That of a file of `bytes`.
    pub fn new(bounds: Bounds, bytes: u64) -> Self {
        let limit = bytes.saturating_mul(bounds.expansion).max(FLOOR);
        Self { bounds, limit, used: 0, on_disk: 0, members: 0 }
    }

    /// Whether one more member may come out.
    pub fn member(&mut self, name: &[u8]) -> bool {
        self.members += 1 + name.len() as u64 / NAME;
        self.members <= self.bounds.members
    }

    /// Whether `bytes` more may come out of it, without being written to disk; if so, they do.
    pub fn take(&mut self, bytes: u64) -> bool {
        let fits = bytes <= self.limit - self.used;
        if fits {
            self.used += bytes;
        }
        fits
    }

    /// Bytes that may be unpacked to disk.
    pub fn room(&self) -> u64 {
        (self.limit - self.used).min(self.bounds.unpacked - self.on_disk)
    }

    /// Notes bytes that were, which must have been within the room.
    pub fn taken(&mut self, bytes: u64) {
        self.used += bytes;
        self.on_disk += bytes;
    }

    /// Bytes that may still come out.
    pub fn rest(&self) -> u64 {
        self.limit - self.used
    }

    /// Why more than [`Self::room`] is not unpacked.
    pub fn no_room(&self, archive: &str) -> String {
        if self.limit - self.used <= self.bounds.unpacked - self.on_disk {
            return self.too_much(archive);
        }
        format!(
            "{archive} would take more than {} bytes of temporary disk; raise --max-unpacked-bytes, or unpack it yourself",
            self.bounds.unpacked
        )
    }

    /// Why no more than [`Self::rest`] is read.
    pub fn too_much(&self, archive: &str) -> String {
        format!(
            "with it {archive} would unpack to more than {} bytes ({} times its size, or 256 MiB), which no logs do; \
             refused as a decompression bomb, raise --max-expansion if it is genuine",
            self.limit, self.bounds.expansion
        )
    }

    /// Why no more members are read.
    pub fn too_many(&self, archive: &str) -> String {
        format!("{archive} holds more than {} members; raise --max-members if it is genuine", self.bounds.members)
    }
}
