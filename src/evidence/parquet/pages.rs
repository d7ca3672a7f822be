//! Walking over the headers of a column's pages, before anything is unpacked.

use std::io::Cursor;

use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{Encoding, PageHeader};

/// Largest page, packed or unpacked, and largest number of values in one. There are writers of pages of 100 MB.
pub(super) const MAX_PAGE: usize = 256 * 1024 * 1024;
const MAX_VALUES: i64 = 1 << 26;

/// What the pages of a column say of themselves.
#[derive(Clone, Copy, Default)]
pub(super) struct Extent {
    /// Bytes unpacked, all pages.
    pub(super) unpacked: u64,
    /// Bytes that values may share beginnings with, so that they unpack to more than their page.
    pub(super) shared: u64,
}

/// Adds up the pages in `bytes`, a column chunk of `values` values.
///
/// # Errors
/// A header cannot be read, or a page is too large.
pub(super) fn extent(bytes: &[u8], values: i64) -> Result<Extent, String> {
    let mut cursor = Cursor::new(bytes);
    let (mut extent, mut seen) = (Extent::default(), 0);
    while seen < values {
        let mut protocol = TCompactInputProtocol::new(&mut cursor, MAX_PAGE);
        let header = PageHeader::read_from_in_protocol(&mut protocol).map_err(|e| format!("a page header: {e}"))?;
        let size = |n: i32| usize::try_from(n).ok().filter(|n| *n <= MAX_PAGE);
        let (Some(packed), Some(unpacked)) = (size(header.compressed_page_size), size(header.uncompressed_page_size))
        else {
            return Err(format!("a page of more than {MAX_PAGE} bytes"));
        };
        let v1 = header.data_page_header.as_ref().map(|h| (h.num_values, h.encoding));
        let v2 = header.data_page_header_v2.as_ref().map(|h| (h.num_values, h.encoding));
        let dictionary = header.dictionary_page_header.as_ref().map(|h| h.num_values);
        let (count, encoding) = v1.or(v2).unwrap_or((0, Encoding::PLAIN));
        if [Some(count), dictionary].into_iter().flatten().any(|n| !(0..=MAX_VALUES).contains(&i64::from(n))) {
            return Err(format!("a page of more than {MAX_VALUES} values"));
        }
        if encoding == Encoding::DELTA_BYTE_ARRAY {
            extent.shared = extent.shared.max(unpacked as u64);
        }
        extent.unpacked += unpacked as u64;
        seen += i64::from(count);
        let next = cursor.position() + packed as u64;
        if next > bytes.len() as u64 {
            return Err("a page that is longer than its column".to_owned());
        }
        cursor.set_position(next);
    }
    Ok(extent)
}
