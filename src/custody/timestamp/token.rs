//! Checking a token: that it is for this file and this request, and that an authority one trusts has signed it.

use std::path::Path;
use std::time::Duration;

use cms::cert::CertificateChoices;
use cms::cert::x509::Certificate;
use cms::cert::x509::attr::Attribute;
use cms::cert::x509::ext::pkix::SubjectKeyIdentifier;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::asn1::{
    self, ID_CONTENT_TYPE, ID_CT_TST_INFO, ID_MESSAGE_DIGEST, ID_SHA_256, ID_SHA_384, ID_SHA_512, ID_SIGNED_DATA,
    ID_SIGNING_CERTIFICATE_V2, SigningCertificateV2, TstInfo,
};
use crate::custody::Check;
use crate::error::{Error, Result};
use crate::evidence::Digest;
use crate::ingest::rfc3339;

/// The purpose `timeStamping`, 1.3.6.1.5.5.7.3.8, as it stands in a certificate.
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];

/// The certificates that are trusted.
#[derive(Clone, Debug)]
pub struct Authorities {
    trusted: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// Reads certificates, PEM, one after the other.
    ///
    /// # Errors
    /// The file cannot be read or holds none.
    pub fn read(path: &Path) -> Result<Self> {
        let unusable = |reason: String| Error::Usage { what: path.display().to_string(), reason };
        let text = std::fs::read(path).map_err(|e| Error::io(path, "reading the certificates", e))?;
        let trusted: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let trusted = trusted.map_err(|e| unusable(format!("no certificates in PEM: {e}")))?;
        if trusted.is_empty() {
            return Err(unusable("no certificate in PEM in it; give that of the authority's root".to_owned()));
        }
        for certificate in &trusted {
            anchor_from_trusted_cert(certificate)
                .map_err(|e| unusable(format!("a certificate in it cannot be used: {e}")))?;
        }
        Ok(Self { trusted })
    }

    fn anchors(&self) -> Vec<TrustAnchor<'_>> {
        self.trusted.iter().filter_map(|certificate| anchor_from_trusted_cert(certificate).ok()).collect()
    }
}

/// What a token says, and the signature that is to prove it.
struct Token {
    info: TstInfo,
    /// The bytes that were read into `info`.
    content: Vec<u8>,
    signer: SignerInfo,
    certificates: Vec<Certificate>,
}

/// Checks the answer `token` to `request` about the file `name` with this hash. Where no authorities are given, it is not
/// checked who signed.
#[must_use]
pub fn check(
    token: &[u8],
    request: &[u8],
    name: &str,
    digest: Digest,
    authorities: Option<&Authorities>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let read = match read(token) {
        Ok(read) => read,
        Err(reason) => return vec![Check::invalid("status", reason)],
    };
    checks.push(Check::valid("status", "granted"));
    checks.push(Check::of("imprint", imprint(&read, request, name, digest)));
    checks.push(Check::of("nonce", nonce(&read, request)));
    let time = read.info.time();
    checks.push(Check::of(
        "time",
        time.map(|time| said(&read.info, time)).ok_or_else(|| "no time that can be read".to_owned()),
    ));
    let signed = signed_by(&read);
    checks.push(Check::of(
        "signature",
        signed.as_ref().map(|_| "by a certificate in the token".to_owned()).map_err(Clone::clone),
    ));
    if let (Ok(certificate), Some(time)) = (signed, time) {
        checks.push(match authorities {
            Some(authorities) => Check::of("certificate", trusted(&read, certificate, time, authorities)),
            None => Check::unchecked("certificate", "whose it is was not checked; give the authority's root with --ca"),
        });
    }
    checks
}

fn said(info: &TstInfo, time: i64) -> String {
    let accuracy =
        info.accuracy.as_ref().map_or_else(String::new, |accuracy| format!(", to within {} s", accuracy.text()));
    let serial = const_hex::encode(info.serial_number.as_bytes());
    format!("{}{accuracy}, policy {}, serial number {serial}", rfc3339(time), info.policy)
}

fn read(bytes: &[u8]) -> std::result::Result<Token, String> {
    let (status, token) = asn1::answer(bytes)?;
    if let Some(refused) = status.filter(|status| status.status > 1) {
        let why = refused.status_string.unwrap_or_default().join("; ");
        return Err(format!("the authority did not grant the stamp (status {}): {why}", refused.status));
    }
    let token = token.ok_or("the answer holds no token")?;
    if token.content_type != ID_SIGNED_DATA {
        return Err(format!("the token is of type {}, expected signed data", token.content_type));
    }
    let data: SignedData =
        token.content.decode_as().map_err(|e| format!("the signed data in the token cannot be read: {e}"))?;
    let encapsulated = data.encap_content_info;
    if encapsulated.econtent_type != ID_CT_TST_INFO {
        return Err(format!("what is signed is of type {}, expected a time stamp", encapsulated.econtent_type));
    }
    let content: OctetString = encapsulated
        .econtent
        .ok_or("the token holds no time stamp")?
        .decode_as()
        .map_err(|e| format!("the time stamp cannot be read: {e}"))?;
    let content = content.into_bytes().to_vec();
    let info = TstInfo::from_der(&content).map_err(|e| format!("the time stamp cannot be read: {e}"))?;
    let [signer] = data.signer_infos.0.as_slice() else {
        return Err(format!("the token has {} signatures, expected one", data.signer_infos.0.len()));
    };
    let choices = data.certificates.into_iter().flat_map(|set| set.0.into_vec());
    let certificates = choices
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate),
            CertificateChoices::Other(_) => None,
        })
        .collect();
    Ok(Token { info, content, signer: signer.clone(), certificates })
}

fn imprint(token: &Token, request: &[u8], name: &str, digest: Digest) -> std::result::Result<String, String> {
    let requested = super::requested(request)?;
    let imprint = &token.info.message_imprint;
    let stamped = imprint.hashed_message.as_bytes();
    if imprint.hash_algorithm.oid != ID_SHA_256 || stamped != requested.0 {
        return Err(format!("the token is for {}, the request was for {requested}", const_hex::encode(stamped)));
    }
    if requested != digest {
        return Err(format!("the token is for SHA-256 {requested}, but {name} has {digest}: it was changed since"));
    }
    Ok(format!("SHA-256 {digest}, that of {name}"))
}

fn nonce(token: &Token, request: &[u8]) -> std::result::Result<String, String> {
    match (super::read(request)?.nonce, &token.info.nonce) {
        (None, _) => Ok("the request has none".to_owned()),
        (Some(sent), Some(returned)) if sent == *returned => Ok("that of the request".to_owned()),
        (Some(_), Some(_)) => Err("the token answers another request: its nonce is not that of this one".to_owned()),
        (Some(_), None) => Err("the token does not repeat the nonce of the request".to_owned()),
    }
}

/// The certificate by whose key the token is signed.
fn signed_by(token: &Token) -> std::result::Result<&Certificate, String> {
    let signer = &token.signer;
    let named = |certificate: &&Certificate| is_named(&signer.sid, certificate);
    let certificate = token
        .certificates
        .iter()
        .find(named)
        .ok_or("the signer's certificate is not in the token; ask for it (certReq)")?;
    let attributes = signer.signed_attrs.as_ref().ok_or("the token has no signed attributes")?;
    let algorithm = signer.digest_alg.oid;
    let hash = hash(algorithm, &token.content)?;
    let value = |oid| value(attributes.iter(), oid);
    let kind = value(ID_CONTENT_TYPE)?.ok_or("it is not signed what kind of content there is")?;
    if kind.decode_as::<ObjectIdentifier>().ok() != Some(ID_CT_TST_INFO) {
        return Err("what is signed is not said to be a time stamp".to_owned());
    }
    let digest = value(ID_MESSAGE_DIGEST)?.ok_or("the hash of the time stamp is not signed")?;
    if digest.value() != hash {
        return Err("the time stamp was changed: its hash is not the signed one".to_owned());
    }
    let der = certificate.to_der().map_err(|e| e.to_string())?;
    if let Some(named) = value(ID_SIGNING_CERTIFICATE_V2)? {
        names(named, &der)?;
    }
    let message = attributes.to_der().map_err(|e| e.to_string())?;
    let der = CertificateDer::from(der);
    let key = EndEntityCert::try_from(&der).map_err(|e| format!("the signer's certificate cannot be used: {e}"))?;
    let verifies = |by| key.verify_signature(by, &message, signer.signature.as_bytes()).is_ok();
    let holds = of_hash(algorithm).into_iter().any(verifies);
    if holds {
        Ok(certificate)
    } else {
        Err("the signature of the token does not verify by its certificate".to_owned())
    }
}

fn is_named(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    let certificate = certificate.tbs_certificate();
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(named) => {
            named.issuer == *certificate.issuer() && named.serial_number == *certificate.serial_number()
        }
        SignerIdentifier::SubjectKeyIdentifier(named) => {
            matches!(certificate.get_extension::<SubjectKeyIdentifier>(), Ok(Some((_, id))) if id == *named)
        }
    }
}

/// The value of an attribute, of which there may be one.
fn value<'a>(
    attributes: impl Iterator<Item = &'a Attribute>,
    oid: ObjectIdentifier,
) -> std::result::Result<Option<&'a der::Any>, String> {
    let found: Vec<_> = attributes.filter(|attribute| attribute.oid == oid).collect();
    match found.as_slice() {
        [] => Ok(None),
        [attribute] if attribute.values.len() == 1 => Ok(attribute.values.get(0)),
        _ => Err(format!("the signed attribute {oid} is there more than once")),
    }
}

/// Whether the signed attribute names this certificate.
fn names(attribute: &der::Any, certificate: &[u8]) -> std::result::Result<(), String> {
    let named: SigningCertificateV2 =
        attribute.decode_as().map_err(|e| format!("the signed name of the certificate cannot be read: {e}"))?;
    let first = named.certs.first().ok_or("the signed name of the certificate is empty")?;
    let algorithm = first.hash_algorithm.as_ref().map_or(ID_SHA_256, |algorithm| algorithm.oid);
    if first.cert_hash.as_bytes() == hash(algorithm, certificate)? {
        Ok(())
    } else {
        Err("the certificate in the token is not the one that is named in what is signed".to_owned())
    }
}

fn hash(algorithm: ObjectIdentifier, bytes: &[u8]) -> std::result::Result<Vec<u8>, String> {
    match algorithm {
        ID_SHA_256 => Ok(Sha256::digest(bytes).to_vec()),
        ID_SHA_384 => Ok(Sha384::digest(bytes).to_vec()),
        ID_SHA_512 => Ok(Sha512::digest(bytes).to_vec()),
        other => Err(format!("the hash algorithm {other} is not supported; SHA-256, SHA-384 and SHA-512 are")),
    }
}

/// What may have signed over a hash; which of them it was, the certificate's key tells.
fn of_hash(algorithm: ObjectIdentifier) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    use webpki::ring as by;
    match algorithm {
        ID_SHA_256 => vec![by::RSA_PKCS1_2048_8192_SHA256, by::ECDSA_P256_SHA256, by::ECDSA_P384_SHA256],
        ID_SHA_384 => vec![by::RSA_PKCS1_2048_8192_SHA384, by::ECDSA_P384_SHA384, by::ECDSA_P256_SHA384],
        ID_SHA_512 => vec![by::RSA_PKCS1_2048_8192_SHA512, by::ED25519],
        _ => Vec::new(),
    }
}

/// Whether the certificate was, at that time, one for time stamps that leads to a trusted one.
fn trusted(
    token: &Token,
    signer: &Certificate,
    time: i64,
    authorities: &Authorities,
) -> std::result::Result<String, String> {
    let der = |certificate: &Certificate| certificate.to_der().map(CertificateDer::from).map_err(|e| e.to_string());
    let end = der(signer)?;
    let others: Vec<CertificateDer<'_>> = token.certificates.iter().map(der).collect::<std::result::Result<_, _>>()?;
    let leaf = EndEntityCert::try_from(&end).map_err(|e| e.to_string())?;
    let at = UnixTime::since_unix_epoch(Duration::from_micros(u64::try_from(time).unwrap_or(0)));
    let (anchors, usage) = (authorities.anchors(), KeyUsage::required(TIME_STAMPING));
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &others, at, usage, None, None)
        .map(|_| format!("{}, for time stamps, by a trusted authority", signer.tbs_certificate().subject()))
        .map_err(|e| format!("its certificate does not lead to one that is trusted: {e}"))
}
