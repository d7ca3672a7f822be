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
