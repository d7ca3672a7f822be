//! The messages of RFC 3161, as far as `cms` does not have them.

use cms::content_info::ContentInfo;
use der::asn1::{Any, Int, ObjectIdentifier, OctetString};
use der::{Decode as _, Sequence, Tag, Tagged as _};

pub const ID_CT_TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
pub const ID_SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub const ID_CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
pub const ID_MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
pub const ID_SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
pub const ID_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub const ID_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
pub const ID_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// An algorithm; of its parameters nothing is used.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Algorithm {
    pub oid: ObjectIdentifier,
    #[asn1(optional = "true")]
    pub parameters: Option<Any>,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct MessageImprint {
    pub hash_algorithm: Algorithm,
    pub hashed_message: OctetString,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TimeStampReq {
    pub version: u8,
    pub message_imprint: MessageImprint,
    #[asn1(optional = "true")]
    pub req_policy: Option<ObjectIdentifier>,
    #[asn1(optional = "true")]
    pub nonce: Option<Int>,
    #[asn1(default = "Default::default")]
    pub cert_req: bool,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub extensions: Option<Vec<Any>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TimeStampResp {
    pub status: PkiStatusInfo,
    #[asn1(optional = "true")]
    pub token: Option<ContentInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct PkiStatusInfo {
    /// 0 granted, 1 granted with changes; everything else is a refusal.
    pub status: u8,
    #[asn1(optional = "true")]
    pub status_string: Option<Vec<String>>,
    #[asn1(optional = "true")]
    pub fail_info: Option<der::asn1::BitString>,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TstInfo {
    pub version: u8,
    pub policy: ObjectIdentifier,
    pub message_imprint: MessageImprint,
    pub serial_number: Int,
    /// A `GeneralizedTime`, which may have fractions of a second, unlike those that the library reads.
    pub gen_time: Any,
    #[asn1(optional = "true")]
    pub accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    pub ordering: bool,
    #[asn1(optional = "true")]
    pub nonce: Option<Int>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub tsa: Option<Any>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub extensions: Option<Vec<Any>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Accuracy {
    #[asn1(optional = "true")]
    pub seconds: Option<u64>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub micros: Option<u16>,
}

impl Accuracy {
    /// In seconds.
    pub fn text(&self) -> String {
        let fraction = u32::from(self.millis.unwrap_or(0)) * 1000 + u32::from(self.micros.unwrap_or(0));
        format!("{}.{fraction:06}", self.seconds.unwrap_or(0))
    }
}

impl TstInfo {
    /// The time, microseconds since 1970, UTC.
    pub fn time(&self) -> Option<i64> {
        let text =
            std::str::from_utf8(self.gen_time.value()).ok().filter(|_| self.gen_time.tag() == Tag::GeneralizedTime)?;
        let time = chrono::NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S%.fZ").ok()?;
        Some(time.and_utc().timestamp_micros())
    }
}

/// `SigningCertificateV2` (RFC 5035): the hash of the certificate that is to be used.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SigningCertificateV2 {
    pub certs: Vec<EssCertIdV2>,
    #[asn1(optional = "true")]
    pub policies: Option<Vec<Any>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EssCertIdV2 {
    /// Left out where it is SHA-256.
    #[asn1(optional = "true")]
    pub hash_algorithm: Option<Algorithm>,
    pub cert_hash: OctetString,
    #[asn1(optional = "true")]
    pub issuer_serial: Option<Any>,
}

/// A token, and the status of the answer that it came in; some authorities return the bare token.
pub fn answer(bytes: &[u8]) -> Result<(Option<PkiStatusInfo>, Option<ContentInfo>), String> {
    if let Ok(bare) = ContentInfo::from_der(bytes) {
        return Ok((None, Some(bare)));
    }
    let response = TimeStampResp::from_der(bytes).map_err(|e| {
        format!("neither an RFC 3161 answer nor a token ({e}); expected DER, as the authority returned it")
    })?;
    Ok((Some(response.status), response.token))
}
