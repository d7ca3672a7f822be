//! The bytes of a container: as they lie in a file, or unpacked to temporary disk as far as they are asked for.

use std::io::Read as _;
use std::sync::Arc;

use super::tape::{Store, Tape};
use super::view::{View, Window};
use crate::error::{Error, Result};
use crate::evidence::framer::describe;
use crate::evidence::{Digest, Place, Stream};

/// The bytes of a container.
pub enum Feed {
    Plain { view: View, window: Window, failure: Option<String> },
    Pumped(Box<Pump>),
}

/// Bytes that are unpacked from the start on.
pub struct Pump {
    /// The container's name.
    label: String,
    stream: Stream,
    tape: Tape,
    /// Bytes that may be unpacked, and why no more.
    room: u64,
    no_room: String,
    /// Whether there are more than that.
    refused: bool,
    failure: Option<String>,
    ended: bool,
    buffer: Vec<u8>,
}

/// Bytes that are unpacked at a time.
const STEP: usize = 128 * 1024;

/// What is left of a container when all members are known.
pub struct Rest {
    pub view: View,
    /// SHA-256 and size as found, where it is known by now.
    pub digest: Option<(Digest, u64)>,
    /// Bytes that were unpacked to disk.
    pub unpacked: u64,
}

impl Feed {
    /// Those of a container that can be read from anywhere.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn plain(view: View) -> std::io::Result<Self> {
        let window = view.open()?;
        Ok(Self::Plain { view, window, failure: None })
    }

    /// Those of a container that must be unpacked, `room` at most.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn pumped(
        label: &str,
        place: &Place,
        store: &Arc<Store>,
        (room, no_room): (u64, String),
    ) -> std::io::Result<Self> {
        let (stream, tape) = (Stream::open(place)?, Tape::new(store));
        let label = label.to_owned();
        let buffer = vec![0; STEP];
        let (refused, failure, ended) = (false, None, false);
        Ok(Self::Pumped(Box::new(Pump { label, stream, tape, room, no_room, refused, failure, ended, buffer })))
    }

    /// Bytes up to `end`, or as many as there are.
    ///
    /// # Errors
    /// There is no room on the disk.
    pub fn reach(&mut self, end: u64) -> Result<u64> {
        match self {
            Self::Plain { window, .. } => Ok(window.len().min(end)),
            Self::Pumped(pump) => pump.reach(end),
        }
    }

    /// All bytes there are.
    ///
    /// # Errors
    /// There is no room on the disk.
    pub fn all(&mut self) -> Result<()> {
        match self {
            Self::Plain { .. } => Ok(()),
            Self::Pumped(pump) => {
                while !pump.ended {
                    pump.reach(pump.tape.len() + STEP as u64)?;
                }
                Ok(())
            }
        }
    }

    /// Bytes from `at` on, as many as there are.
    ///
    /// # Errors
    /// There is no room on the disk.
    pub fn fill(&mut self, buf: &mut [u8], at: u64) -> Result<usize> {
        self.reach(at.saturating_add(buf.len() as u64))?;
        match self {
            Self::Plain { window, failure, .. } => Ok(window.fill(buf, at).unwrap_or_else(|e| {
                *failure = Some(e.to_string());
                0
            })),
            Self::Pumped(pump) => {
                let mut filled = 0;
                while filled < buf.len() {
                    let read = pump.tape.read_at(&mut buf[filled..], at + filled as u64).map_err(|e| pump.disk(&e))?;
                    if read == 0 {
                        break;
                    }
                    filled += read;
                }
                Ok(filled)
            }
        }
    }

    /// Why there are no more bytes, if it is not that the container ends.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Plain { failure, .. } => failure.as_deref(),
            Self::Pumped(pump) if pump.refused => Some(&pump.no_room),
            Self::Pumped(pump) => pump.failure.as_deref(),
        }
    }

    /// Whether there are more bytes than may be unpacked.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Pumped(pump) if pump.refused)
    }

    /// Gives up reading.
    pub fn finish(self) -> Rest {
        match self {
            Self::Plain { view, .. } => Rest { view, digest: None, unpacked: 0 },
            Self::Pumped(pump) => {
                let Pump { stream, tape, .. } = *pump;
                let unpacked = tape.len();
                Rest { view: View::of_tape(tape), digest: stream.finish().ok(), unpacked }
            }
        }
    }
}

impl Pump {
    fn disk(&self, error: &std::io::Error) -> Error {
        super::expand::disk(&self.label, error)
    }

    fn reach(&mut self, end: u64) -> Result<u64> {
        // What is announced and cannot be taken is not begun with.
        if !self.ended && end > self.room.saturating_add(STEP as u64) {
            (self.refused, self.ended) = (true, true);
        }
        while self.tape.len() < end && !self.ended {
            match self.stream.read(&mut self.buffer) {
                Ok(0) => self.ended = true,
                Ok(read) if self.tape.len() + read as u64 > self.room => (self.refused, self.ended) = (true, true),
                Ok(read) => self.tape.append(&self.buffer[..read]).map_err(|e| self.disk(&e))?,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failure = Some(describe(&e));
                    self.ended = true;
                }
            }
        }
        Ok(self.tape.len().min(end))
    }
}
