//! The envelope around a signed statement: DSSE 1.0.2.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

use super::keys::{PrivateKey, PublicKey};
use crate::error::{Error, Result};

/// What an envelope says that an in-toto statement is.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// An envelope as it lies in a file. Members that are not known are ignored, as the specification has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Base64.
    pub payload: String,
    pub payload_type: String,
    pub signatures: Vec<Signature>,
}

/// A signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// A hint that nothing signs; here the SHA-256 of the public key.
    #[serde(default)]
    pub keyid: String,
    /// Base64.
    pub sig: String,
}

impl Envelope {
    /// Signs a statement.
    ///
    /// # Errors
    /// Never for a key that could be read.
    pub fn seal(payload: &[u8], key: &PrivateKey) -> Result<Self> {
        let signature = key.sign(&pre_authentication(PAYLOAD_TYPE, payload));
        let signature = Signature { keyid: key.public()?.id().to_owned(), sig: STANDARD.encode(signature) };
        let (payload, payload_type) = (STANDARD.encode(payload), PAYLOAD_TYPE.to_owned());
        Ok(Self { payload, payload_type, signatures: vec![signature] })
    }

    /// The bytes of the file: one line.
    ///
    /// # Errors
    /// Never.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(|e| Error::Output(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The payload, if one of the signatures is that of `key`.
    ///
    /// # Errors
    /// Why it is not.
    pub fn open(&self, key: &PublicKey) -> std::result::Result<Vec<u8>, String> {
        let payload = decoded(&self.payload).ok_or("its payload is not base64")?;
        let message = pre_authentication(&self.payload_type, &payload);
        let signed = self.signatures.iter().filter_map(|signature| decoded(&signature.sig));
        if !signed.into_iter().any(|signature| key.verifies(&message, &signature)) {
            return Err(format!(
                "none of its {} signature(s) is one of this payload by the key {}",
                self.signatures.len(),
                key.id()
            ));
        }
        if self.payload_type != PAYLOAD_TYPE {
            return Err(format!("its payload is said to be {}, expected {PAYLOAD_TYPE}", self.payload_type));
        }
        Ok(payload)
    }
}

/// Both alphabets of base64 are allowed.
fn decoded(text: &str) -> Option<Vec<u8>> {
    [&STANDARD, &URL_SAFE].into_iter().find_map(|engine: &GeneralPurpose| engine.decode(text).ok())
}

/// What is signed: type and payload, each with its length.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
