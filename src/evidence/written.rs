//! How values of the ledger are written that are held in fewer bytes.

use serde::{Deserialize, Deserializer, Serializer};

use super::Digest;

/// A SHA-256 as hex, or null.
pub mod hex {
    use super::{Deserialize, Deserializer, Digest, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks for it")]
    pub fn serialize<S: Serializer>(digest: &Option<Digest>, serializer: S) -> Result<S::Ok, S::Error> {
        match digest {
            Some(digest) => serializer.collect_str(digest),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        text.parse().map(Some).map_err(serde::de::Error::custom)
    }
}

/// Microseconds since 1970 as RFC 3339, UTC, or null.
pub mod rfc3339 {
    use super::{Deserialize, Deserializer, Serializer};
    use crate::evidence::time;

    #[expect(clippy::ref_option, reason = "serde asks for it")]
    pub fn serialize<S: Serializer>(micros: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match micros {
            Some(micros) => serializer.serialize_str(&time::rfc3339(*micros)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        time::micros(&text).map(Some).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no time")))
    }
}
