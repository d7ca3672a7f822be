//! Trusted time stamps (RFC 3161), offline: a request for a file is written, and the token that an authority returned for it
//! is checked. Somebody else carries them to and fro.

mod asn1;
mod token;

use der::asn1::{Int, OctetString};
use der::{Decode as _, Encode as _};

pub use token::{Authorities, check};

use crate::error::{Error, Result};
use crate::evidence::Digest;
use asn1::{Algorithm, ID_SHA_256, MessageImprint, TimeStampReq};

/// A request to stamp the file with this hash, DER; it holds a random number that the answer must repeat, and asks for the
/// authority's certificate.
///
/// # Errors
/// The system has no random numbers.
pub fn request(digest: Digest) -> Result<Vec<u8>> {
    let unusable = |reason: String| Error::Usage { what: "the time stamp request".to_owned(), reason };
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|e| unusable(format!("the system gives no random numbers: {e}")))?;
    // Positive, and without a leading zero.
    nonce[0] = nonce[0] & 0x7f | 0x40;
    let encode = || -> der::Result<Vec<u8>> {
        TimeStampReq {
            version: 1,
            message_imprint: MessageImprint {
                hash_algorithm: Algorithm { oid: ID_SHA_256, parameters: Some(der::Any::null()) },
                hashed_message: OctetString::new(digest.0)?,
            },
            req_policy: None,
            nonce: Some(Int::new(&nonce)?),
            cert_req: true,
            extensions: None,
        }
        .to_der()
    };
    encode().map_err(|e| unusable(e.to_string()))
}

/// The SHA-256 for which a request asks.
///
/// # Errors
/// It is no request, or asks for another hash.
pub fn requested(request: &[u8]) -> std::result::Result<Digest, String> {
    let imprint = read(request)?.message_imprint;
    let hash: Option<[u8; 32]> = imprint.hashed_message.as_bytes().try_into().ok();
    hash.filter(|_| imprint.hash_algorithm.oid == ID_SHA_256)
        .map(Digest)
        .ok_or_else(|| "it does not ask for a SHA-256".to_owned())
}

fn read(request: &[u8]) -> std::result::Result<TimeStampReq, String> {
    TimeStampReq::from_der(request).map_err(|e| format!("no RFC 3161 request: {e}"))
}
