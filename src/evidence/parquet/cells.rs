//! Writing values as JSON.

use std::fmt::Write as _;
use std::io::Write as _;

use arrow::array::{
    Array, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, ListArray, MapArray, PrimitiveArray, StructArray,
    Utf8ViewArray, get_display,
};
use arrow::datatypes::{ArrowDataType, TimeUnit};
use arrow::types::NativeType;
use chrono::{DateTime, NaiveTime, SecondsFormat};

use super::footer::Column;

/// Writes the value of a column at `row`, counted over all of `arrays`.
///
/// # Errors
/// An array is not of the type that it says.
pub(super) fn write(
    column: &Column,
    arrays: &[Box<dyn Array>],
    mut row: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    for array in arrays {
        if row >= array.len() {
            row -= array.len();
            continue;
        }
        if column.uuid && !array.is_null(row) {
            let bytes = of::<FixedSizeBinaryArray>(array.as_ref())?.value(row);
            return uuid(bytes, out);
        }
        return cell(array.as_ref(), row, out);
    }
    Err("fewer values than rows".to_owned())
}

fn of<A: 'static>(array: &dyn Array) -> Result<&A, String> {
    array.as_any().downcast_ref().ok_or_else(|| format!("a column is not what it says, {:?}", array.dtype()))
}

fn primitive<T: NativeType>(array: &dyn Array, row: usize) -> Result<T, String> {
    of::<PrimitiveArray<T>>(array).map(|values| values.value(row))
}

/// Writes a value, or null.
fn cell(array: &dyn Array, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    use ArrowDataType as D;
    if array.is_null(row) {
        out.extend(b"null");
        return Ok(());
    }
    match array.dtype() {
        D::Null => out.extend(b"null"),
        D::Boolean => json(&of::<BooleanArray>(array)?.value(row), out)?,
        D::Int8 => json(&primitive::<i8>(array, row)?, out)?,
        D::Int16 => json(&primitive::<i16>(array, row)?, out)?,
        D::Int32 => json(&primitive::<i32>(array, row)?, out)?,
        D::Int64 | D::Duration(_) => json(&primitive::<i64>(array, row)?, out)?,
        D::UInt8 => json(&primitive::<u8>(array, row)?, out)?,
        D::UInt16 => json(&primitive::<u16>(array, row)?, out)?,
        D::UInt32 => json(&primitive::<u32>(array, row)?, out)?,
        D::UInt64 => json(&primitive::<u64>(array, row)?, out)?,
        D::Float32 => {
            let value = primitive::<f32>(array, row)?;
            if value.is_finite() { json(&value, out)? } else { not_finite(f64::from(value), out)? }
        }
        D::Float64 => {
            let value = primitive::<f64>(array, row)?;
            if value.is_finite() { json(&value, out)? } else { not_finite(value, out)? }
        }
        D::Decimal(_, scale) => decimal(primitive::<i128>(array, row)?, *scale, out),
        D::Date32 => {
            let days = i64::from(primitive::<i32>(array, row)?);
            let text = DateTime::from_timestamp(days * 86_400, 0).map(|t| t.date_naive().to_string());
            text_or_number(text, days, out)?;
        }
        D::Timestamp(unit, zone) => timestamp(primitive::<i64>(array, row)?, *unit, zone.is_some(), out)?,
        D::Time32(unit) => time_of_day(i64::from(primitive::<i32>(array, row)?), *unit, out)?,
        D::Time64(unit) => time_of_day(primitive::<i64>(array, row)?, *unit, out)?,
        D::Utf8View => json(of::<Utf8ViewArray>(array)?.value(row), out)?,
        D::BinaryView => binary(of::<BinaryViewArray>(array)?.value(row), out)?,
        D::FixedSizeBinary(_) => hex(of::<FixedSizeBinaryArray>(array)?.value(row), out)?,
        D::LargeList(_) => {
            let list = of::<ListArray<i64>>(array)?;
            let (start, end) = list.offsets().start_end(row);
            items(list.values().as_ref(), start, end, out)?;
        }
        D::Map(..) => {
            let map = of::<MapArray>(array)?;
            let (start, end) = map.offsets().start_end(row);
            items(map.field().as_ref(), start, end, out)?;
        }
        D::Struct(fields) => {
            let members = of::<StructArray>(array)?.values();
            for (n, (field, values)) in fields.iter().zip(members).enumerate() {
                out.push(if n == 0 { b'{' } else { b',' });
                json(field.name.as_str(), out)?;
                out.push(b':');
                cell(values.as_ref(), row, out)?;
            }
            out.push(b'}');
        }
        _ => {
            let mut text = String::new();
            get_display(array, "null")(&mut text, row).map_err(|e| e.to_string())?;
            json(&text, out)?;
        }
    }
    Ok(())
}

fn items(values: &dyn Array, start: usize, end: usize, out: &mut Vec<u8>) -> Result<(), String> {
    out.push(b'[');
    for n in start..end {
        if n > start {
            out.push(b',');
        }
        cell(values, n, out)?;
    }
    out.push(b']');
    Ok(())
}

fn json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    serde_json::to_writer(out, value).map_err(|e| e.to_string())
}

/// JSON has no number for these.
fn not_finite(value: f64, out: &mut Vec<u8>) -> Result<(), String> {
    let name = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    json(name, out)
}

fn text_or_number(text: Option<String>, number: i64, out: &mut Vec<u8>) -> Result<(), String> {
    match text {
        Some(text) => json(&text, out),
        None => json(&number, out),
    }
}

/// All digits, with the point where it belongs.
fn decimal(value: i128, scale: usize, out: &mut Vec<u8>) {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, rest) = digits.split_at(digits.len() - scale);
    if value < 0 {
        out.push(b'-');
    }
    out.extend(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend(rest.as_bytes());
    }
}

/// Units a second, and how many digits of it they make.
fn per_second(unit: TimeUnit) -> (i64, SecondsFormat) {
    match unit {
        TimeUnit::Second => (1, SecondsFormat::Secs),
        TimeUnit::Millisecond => (1_000, SecondsFormat::Millis),
        TimeUnit::Microsecond => (1_000_000, SecondsFormat::Micros),
        TimeUnit::Nanosecond => (1_000_000_000, SecondsFormat::Nanos),
    }
}

fn nanos(value: i64, per: i64) -> (i64, u32) {
    let (seconds, rest) = (value.div_euclid(per), value.rem_euclid(per));
    (seconds, u32::try_from(rest * (1_000_000_000 / per)).unwrap_or(0))
}

/// RFC 3339 in UTC; without a zone where the column has none.
fn timestamp(value: i64, unit: TimeUnit, zoned: bool, out: &mut Vec<u8>) -> Result<(), String> {
    let (per, digits) = per_second(unit);
    let (seconds, nanos) = nanos(value, per);
    let text = DateTime::from_timestamp(seconds, nanos).map(|time| {
        let mut text = time.to_rfc3339_opts(digits, true);
        if !zoned {
            text.pop();
        }
        text
    });
    text_or_number(text, value, out)
}

fn time_of_day(value: i64, unit: TimeUnit, out: &mut Vec<u8>) -> Result<(), String> {
    let (seconds, nanos) = nanos(value, per_second(unit).0);
    let time = u32::try_from(seconds).ok().and_then(|s| NaiveTime::from_num_seconds_from_midnight_opt(s, nanos));
    text_or_number(time.map(|t| t.to_string()), value, out)
}

/// Many writers mark text as bytes; what is no text is written in hex.
fn binary(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => json(text, out),
        Err(_) => hex(bytes, out),
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    write!(out, "\"{}\"", const_hex::encode(bytes)).map_err(|e| e.to_string())
}

fn uuid(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut text = String::with_capacity(36);
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}").map_err(|e| e.to_string())?;
    }
    json(&text, out)
}
