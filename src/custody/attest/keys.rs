//! Ed25519 keys as `openssl genpkey` and `openssl pkey -pubout` write them.

use std::path::Path;

use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::error::{Error, Result};
use crate::evidence::Digest;

/// A key that signs: PKCS #8, PEM, not encrypted.
pub struct PrivateKey(SigningKey);

/// A key that checks: `SubjectPublicKeyInfo`, PEM.
#[derive(Clone, Debug)]
pub struct PublicKey {
    key: VerifyingKey,
    id: String,
}

impl PrivateKey {
    /// Reads a key.
    ///
    /// # Errors
    /// It cannot be read or is no such key.
    pub fn read(path: &Path) -> Result<Self> {
        let text = text(path, "reading the private key")?;
        let key = SigningKey::from_pkcs8_pem(&text);
        let how = "make one with `openssl genpkey -algorithm ed25519 -out key.pem`";
        key.map(Self).map_err(|e| unusable(path, &format!("no Ed25519 private key in PKCS #8 PEM ({e}); {how}")))
    }

    /// Signs.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The key that checks its signatures.
    ///
    /// # Errors
    /// Never for a key that could be read.
    pub fn public(&self) -> Result<PublicKey> {
        PublicKey::of(self.0.verifying_key()).map_err(|reason| Error::Usage { what: "--key".to_owned(), reason })
    }
}

impl PublicKey {
    /// Reads a key.
    ///
    /// # Errors
    /// It cannot be read or is no such key.
    pub fn read(path: &Path) -> Result<Self> {
        let text = text(path, "reading the public key")?;
        let how = "write it with `openssl pkey -in key.pem -pubout -out public.pem`";
        let key = VerifyingKey::from_public_key_pem(&text).map_err(|e| e.to_string()).and_then(Self::of);
        key.map_err(|e| unusable(path, &format!("no Ed25519 public key in PEM ({e}); {how}")))
    }

    fn of(key: VerifyingKey) -> std::result::Result<Self, String> {
        let der = key.to_public_key_der().map_err(|e| e.to_string())?;
        Ok(Self { key, id: Digest::of(der.as_bytes()).to_string() })
    }

    /// SHA-256 of the key's DER, hex: `openssl pkey -pubin -in public.pem -outform DER | sha256sum`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether `signature` is that of `message` by this key.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

fn text(path: &Path, action: &'static str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, action, e))
}

fn unusable(path: &Path, reason: &str) -> Error {
    Error::Usage { what: path.display().to_string(), reason: reason.to_owned() }
}
