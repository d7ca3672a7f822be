//! The footer of a Parquet file: its columns and row groups.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};

use arrow::datatypes::{ArrowDataType, Field};
use polars_parquet::arrow::read::schema::parquet_to_arrow_schema;
use polars_parquet::parquet::read::deserialize_metadata;
use polars_parquet::parquet::schema::types::{PrimitiveConvertedType, PrimitiveLogicalType};
use polars_parquet::read::{FileMetadata, ParquetType, PhysicalType, RowGroupMetadata};
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{FileMetaData, SchemaElement};

use super::super::source::Source;
use super::MAGIC;

/// Bounds on what is believed of a footer: its bytes, what it unpacks to, how deep and how wide its schema is, how long
/// values of a fixed length are.
const MAX_FOOTER: u64 = 64 * 1024 * 1024;
const MAX_UNPACKED: usize = 1024 * 1024 * 1024;
const MAX_DEPTH: usize = 64;
const MAX_ELEMENTS: usize = 16 * 1024;
const MAX_FIXED: usize = 4096;

/// A footer that has been found sound.
pub(super) struct Footer {
    metadata: FileMetadata,
    pub(super) columns: Vec<Column>,
    pub(super) file_size: u64,
}

/// A top-level column.
pub(super) struct Column {
    pub(super) field: Field,
    /// The name as a member of a JSON object, with its colon.
    pub(super) member: Vec<u8>,
    /// Whether its values are UUIDs, 16 bytes each.
    pub(super) uuid: bool,
}

impl Footer {
    /// Reads the footer of the file in `source`.
    ///
    /// # Errors
    /// It is missing, broken, or beyond the bounds.
    pub(super) fn read(source: &mut Source) -> Result<Self, String> {
        let (bytes, file_size) = bytes(source).map_err(|e| e.to_string())?;
        let Some(bytes) = bytes else {
            return Err("it begins as a Parquet file and does not end as one (a truncated copy, or one that is still \
                        being written)"
                .to_owned());
        };
        let broken = |what: String| format!("its Parquet footer is broken ({what})");
        check(&bytes).map_err(broken)?;
        let metadata = deserialize_metadata(bytes.into()).map_err(|e| broken(e.to_string()))?;
        // What writers add to the schema in a form of their own is not needed, and not believed.
        let columns = columns(metadata.schema().fields()).map_err(broken)?;
        Ok(Self { metadata, columns, file_size })
    }

    pub(super) fn groups(&self) -> usize {
        self.metadata.row_groups.len()
    }

    pub(super) fn group(&self, n: usize) -> &RowGroupMetadata {
        &self.metadata.row_groups[n]
    }
}

/// The footer with its length and magic, where the file ends in one; and the size of the file.
fn bytes(source: &mut Source) -> std::io::Result<(Option<Vec<u8>>, u64)> {
    let size = source.seek(SeekFrom::End(0))?;
    let mut tail = [0; 8];
    if size < 12 {
        return Ok((None, size));
    }
    source.seek(SeekFrom::Start(size - 8))?;
    source.read_exact(&mut tail)?;
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if tail[4..] != MAGIC || length + 12 > size {
        return Ok((None, size));
    }
    if length > MAX_FOOTER {
        return Err(std::io::Error::other(format!("its Parquet footer has {length} bytes, more than {MAX_FOOTER}")));
    }
    source.seek(SeekFrom::Start(size - 8 - length))?;
    let mut bytes = Vec::new();
    source.by_ref().take(length + 8).read_to_end(&mut bytes)?;
    let whole = bytes.len() as u64 == length + 8;
    Ok((whole.then_some(bytes), size))
}

/// The decoder trusts the lengths of lists and descends into the schema without a bound: both are checked first.
fn check(bytes: &[u8]) -> Result<(), String> {
    let mut protocol = TCompactInputProtocol::new(bytes, MAX_UNPACKED);
    let metadata = FileMetaData::read_from_in_protocol(&mut protocol).map_err(|e| e.to_string())?;
    if metadata.schema.len() > MAX_ELEMENTS {
        return Err(format!("{} columns, more than {MAX_ELEMENTS}", metadata.schema.len()));
    }
    if depth(&metadata.schema).is_none_or(|depth| depth > MAX_DEPTH) {
        return Err(format!("columns nested deeper than {MAX_DEPTH}"));
    }
    match metadata
        .schema
        .iter()
        .filter_map(|e| e.type_length)
        .find(|n| usize::try_from(*n).is_ok_and(|n| n > MAX_FIXED))
    {
        Some(length) => Err(format!("values of {length} bytes each, more than {MAX_FIXED}")),
        None => Ok(()),
    }
}

/// How deep a schema is, whose elements come depth first, each with the number of its children; `None` where they do not
/// add up.
fn depth(elements: &[SchemaElement]) -> Option<usize> {
    let mut deepest = 0;
    // Children that are still to come, of each element around the one at hand.
    let mut open: Vec<i32> = Vec::new();
    for (n, element) in elements.iter().enumerate() {
        match open.last_mut() {
            Some(left) => *left -= 1,
            None if n > 0 => return None,
            None => {}
        }
        open.push(element.num_children.unwrap_or(0).max(0));
        deepest = deepest.max(open.len());
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    open.is_empty().then_some(deepest)
}

fn columns(types: &[ParquetType]) -> Result<Vec<Column>, String> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = types.iter().find(|t| !seen.insert(t.name())) {
        return Err(format!("two columns are called `{}`", twice.name()));
    }
    let schema = parquet_to_arrow_schema(types);
    let of = |field: &Field| types.iter().find(|t| t.name() == field.name.as_str());
    schema.iter_values().map(|field| column(field, of(field))).collect()
}

fn column(field: &Field, of: Option<&ParquetType>) -> Result<Column, String> {
    let mut member = serde_json::to_vec(field.name.as_str()).map_err(|e| e.to_string())?;
    member.push(b':');
    let mut column = Column { field: field.clone(), member, uuid: false };
    if let Some(ParquetType::PrimitiveType(leaf)) = of {
        column.uuid = leaf.logical_type == Some(PrimitiveLogicalType::Uuid)
            && leaf.physical_type == PhysicalType::FixedLenByteArray(16);
        let converted = matches!(
            leaf.converted_type,
            Some(PrimitiveConvertedType::TimestampMillis | PrimitiveConvertedType::TimestampMicros)
        );
        // Older writers have no other type for times; the format says that it is UTC.
        if let ArrowDataType::Timestamp(_, zone @ None) = &mut column.field.dtype
            && converted
            && leaf.logical_type.is_none()
        {
            *zone = Some("+00:00".into());
        }
    }
    Ok(column)
}
