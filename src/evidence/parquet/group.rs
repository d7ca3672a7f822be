//! One row group: its bytes, of which rows are made a slice at a time.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use arrow::array::Array;
use polars_buffer::Buffer;
use polars_parquet::read::{BasicDecompressor, ColumnChunkMetadata, Filter, PageReader, column_iter_to_arrays};

use super::super::source::Source;
use super::cells;
use super::footer::{Column, Footer};
use super::pages::{Extent, MAX_PAGE, extent};

/// Row groups of more bytes than these, packed or unpacked, are refused: one is held at a time. Writers keep to 128 MiB or
/// less unless told otherwise.
const MAX_PACKED: u64 = 512 * 1024 * 1024;
const MAX_UNPACKED: u64 = 1024 * 1024 * 1024;
/// A column of lists may hold this many values in a row group: one row may hold them all.
const MAX_LISTED: i64 = 1 << 24;
/// Unpacked bytes of rows that are decoded at a time, and what values that share their beginnings may come to.
const BUDGET: u64 = 32 * 1024 * 1024;
const SHARED_BUDGET: u64 = 256 * 1024 * 1024;
/// Rows that are decoded at a time, at most; each costs a little in every column.
const MOST_ROWS: u64 = 16 * 1024;
const CELL: u64 = 32;
/// Longest row that is written.
const MAX_ROW: usize = 256 * 1024 * 1024;

/// A row group being read.
pub(super) struct Group {
    n: usize,
    /// Bytes of each column's chunks, in the order of the columns.
    chunks: Vec<Vec<Buffer<u8>>>,
    bytes: u64,
    rows: usize,
    /// Rows that are decoded at a time.
    step: usize,
    /// The rows that are decoded, and their values.
    slice: Range<usize>,
    values: Vec<Vec<Box<dyn Array>>>,
    next: usize,
}

impl Group {
    /// Reads the bytes of a row group and looks over its pages.
    ///
    /// # Errors
    /// It lies outside the file, is broken, or too large.
    pub(super) fn read(source: &mut Source, footer: &Footer, n: usize) -> Result<Self, String> {
        let at = |what: String| format!("row group {n}: {what}");
        let group = footer.group(n);
        let ranges = group.byte_ranges_iter().map(|range| range.end - range.start);
        let bytes = ranges.fold(0, u64::saturating_add);
        if bytes > MAX_PACKED {
            return Err(at(format!("{bytes} bytes, more than {MAX_PACKED}; write it again with smaller row groups")));
        }
        let (mut chunks, mut all) = (Vec::with_capacity(footer.columns.len()), Extent::default());
        for column in &footer.columns {
            let of_column = chunks_of(footer, n, column).map_err(at)?;
            let mut read = Vec::with_capacity(of_column.len());
            for chunk in of_column {
                let bytes = chunk_bytes(source, footer, chunk).map_err(at)?;
                let of_chunk =
                    checked(chunk, &bytes).map_err(|e| at(format!("column `{}`: {e}", column.field.name)))?;
                all.unpacked += of_chunk.unpacked;
                all.shared = all.shared.max(of_chunk.shared);
                read.push(Buffer::from(bytes));
            }
            chunks.push(read);
        }
        if all.unpacked > MAX_UNPACKED {
            let unpacked = all.unpacked;
            return Err(at(format!(
                "it unpacks to {unpacked} bytes, more than {MAX_UNPACKED}; write it again with smaller row groups"
            )));
        }
        let rows = group.num_rows();
        let step = step(rows as u64, group.n_columns() as u64, all);
        Ok(Self { n, chunks, bytes, rows, step, slice: 0..0, values: Vec::new(), next: 0 })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_done(&self) -> bool {
        self.next >= self.rows
    }

    /// Writes the next row as a line of JSON; `false` where there is none.
    ///
    /// # Errors
    /// It cannot be decoded, or is too long.
    pub(super) fn write_row(&mut self, footer: &Footer, text: &mut Vec<u8>) -> Result<bool, String> {
        if self.is_done() {
            return Ok(false);
        }
        if self.next >= self.slice.end {
            self.decode(footer)?;
        }
        let (row, start) = (self.next - self.slice.start, text.len());
        for (n, (column, arrays)) in footer.columns.iter().zip(&self.values).enumerate() {
            text.push(if n == 0 { b'{' } else { b',' });
            text.extend(&column.member);
            cells::write(column, arrays, row, text)?;
            if text.len() - start > MAX_ROW {
                return Err(format!("row {} of row group {} is longer than {MAX_ROW} bytes", self.next, self.n));
            }
        }
        text.extend(if footer.columns.is_empty() { &b"{}\n"[..] } else { b"}\n" });
        self.next += 1;
        Ok(true)
    }

    fn decode(&mut self, footer: &Footer) -> Result<(), String> {
        let slice = self.next..(self.next + self.step).min(self.rows);
        self.values.clear();
        for (column, bytes) in footer.columns.iter().zip(&self.chunks) {
            let at = |what: String| format!("row group {}, column `{}`: {what}", self.n, column.field.name);
            let chunks = chunks_of(footer, self.n, column)?;
            let pages = |(chunk, bytes): (&&ColumnChunkMetadata, &Buffer<u8>)| {
                let reader = PageReader::new(Cursor::new(bytes.clone()), chunk, Vec::new(), MAX_PAGE);
                BasicDecompressor::new(reader, Vec::new())
            };
            let readers = chunks.iter().zip(bytes).map(pages).collect();
            let types = chunks.iter().map(|chunk| &chunk.descriptor().descriptor.primitive_type).collect();
            let filter = Filter::new_ranged(slice.start, slice.end);
            let (arrays, _) = column_iter_to_arrays(readers, types, column.field.clone(), Some(filter))
                .map_err(|e| at(e.to_string()))?;
            if arrays.iter().map(|array| array.len()).sum::<usize>() != slice.len() {
                return Err(at("it does not hold the rows that the footer says".to_owned()));
            }
            self.values.push(arrays);
        }
        self.slice = slice;
        Ok(())
    }
}

/// Rows to decode at a time, so that they unpack to about the budget.
fn step(rows: u64, columns: u64, extent: Extent) -> usize {
    let a_row = (extent.unpacked / rows.max(1)).max(columns * CELL).max(1);
    let shared = if extent.shared == 0 { MOST_ROWS } else { SHARED_BUDGET / extent.shared.max(1) };
    usize::try_from((BUDGET / a_row).min(MOST_ROWS).min(shared).max(1)).unwrap_or(1)
}

fn chunks_of<'f>(footer: &'f Footer, n: usize, column: &Column) -> Result<Vec<&'f ColumnChunkMetadata>, String> {
    let found = footer.group(n).columns_under_root_iter(&column.field.name);
    found.map(Iterator::collect).ok_or_else(|| format!("row group {n} lacks the column `{}`", column.field.name))
}

fn chunk_bytes(source: &mut Source, footer: &Footer, chunk: &ColumnChunkMetadata) -> Result<Vec<u8>, String> {
    let range = chunk.byte_range();
    if range.end > footer.file_size {
        return Err("a column lies beyond the end of the file".to_owned());
    }
    let mut bytes = Vec::new();
    let read = source.seek(SeekFrom::Start(range.start));
    let read = read.and_then(|_| source.by_ref().take(range.end - range.start).read_to_end(&mut bytes));
    match read {
        Ok(read) if read as u64 == range.end - range.start => Ok(bytes),
        Ok(_) => Err("the file is shorter than it was".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn checked(chunk: &ColumnChunkMetadata, bytes: &[u8]) -> Result<Extent, String> {
    let values = chunk.num_values();
    if values < 0 {
        return Err("a negative number of values".to_owned());
    }
    if chunk.descriptor().descriptor.max_rep_level > 0 && values > MAX_LISTED {
        return Err(format!(
            "{values} values in lists, more than {MAX_LISTED}; write it again with smaller row groups"
        ));
    }
    extent(bytes, values)
}
