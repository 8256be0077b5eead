//! The pepper and the keyed hashes made with it: HMAC-SHA-256 (RFC 2104, FIPS 198-1).
//!
//! Secrets are stored as HMAC(pepper, secret). Whoever can only write the database cannot mint a key, and whoever can
//! only read it cannot test a leaked secret against it. The pepper lives in a file of its own, outside the database.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// The length of pepper and MACs.
pub(crate) const MAC_LEN: usize = 32;

/// A keyed hash, as stored.
pub(crate) type MacBytes = [u8; MAC_LEN];

/// 32 random bytes that key every stored hash. Losing it loses every key, so its file belongs in the backup, apart from
/// the database's.
pub struct Pepper(Zeroizing<[u8; MAC_LEN]>);

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

/// The pepper file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PepperError {
    /// It is not there, and this instance already has data made with it.
    #[error(
        "there is no pepper file at {0}, but this database was made with one. Put the file back from your backup; without it no key can be verified"
    )]
    Missing(PathBuf),
    /// Others can read it.
    #[error("the pepper file {path} can be read by others (mode {mode:o}). Run: chmod 600 {path}", path = .0.display(), mode = .1)]
    Exposed(PathBuf, u32),
    /// It is not 32 bytes in hexadecimal.
    #[error("the pepper file {0} must hold 64 hexadecimal digits. Put the right file back from your backup")]
    Malformed(PathBuf),
    /// The file system refused.
    #[error("the pepper file {0} cannot be used: {1}")]
    Io(PathBuf, std::io::Error),
}

impl Pepper {
    /// A pepper from its bytes.
    pub fn from_bytes(bytes: [u8; MAC_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the pepper file, or makes it (mode 0600, synced to disk) if it is absent and `entropy` is given.
    pub fn load_or_create(path: &Path, entropy: Option<&dyn Entropy>) -> Result<Self, PepperError> {
        let io = |error| PepperError::Io(path.to_owned(), error);
        match File::open(path) {
            Ok(file) => Self::read(path, file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => match entropy {
                Some(entropy) => Self::create(path, entropy).map_err(io),
                None => Err(PepperError::Missing(path.to_owned())),
            },
            Err(error) => Err(io(error)),
        }
    }

    fn read(path: &Path, file: File) -> Result<Self, PepperError> {
        let io = |error| PepperError::Io(path.to_owned(), error);
        let mode = file.metadata().map_err(io)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(PepperError::Exposed(path.to_owned(), mode));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(1024).read_to_string(&mut text).map_err(io)?;
        let bytes = unhex(text.trim()).ok_or_else(|| PepperError::Malformed(path.to_owned()))?;
        Ok(Self::from_bytes(bytes))
    }

    fn create(path: &Path, entropy: &dyn Entropy) -> std::io::Result<Self> {
        let mut bytes = Zeroizing::new([0u8; MAC_LEN]);
        entropy.fill(bytes.as_mut());
        // create_new: of two first starts at the same moment one fails instead of both using a pepper of their own.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(Zeroizing::new(hex(bytes.as_ref()) + "\n").as_bytes())?;
        file.sync_all()?;
        if let Some(folder) = path.parent() {
            File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()?;
        }
        Ok(Self(bytes))
    }

    /// Eight hexadecimal digits that tell peppers apart and reveal nothing of them.
    pub fn fingerprint(&self) -> String {
        hex(&self.derive("fingerprint")[..4])
    }

    fn derive(&self, purpose: &str) -> MacBytes {
        let mut mac = keyed(self.0.as_ref());
        mac.update(b"keyfold:");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the error type exists for other MACs.
    #[expect(clippy::expect_used, reason = "HMAC accepts a key of any length")]
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts a key of any length")
}

/// The keyed hashes of one instance, each with its key schedule worked out once.
pub(crate) struct Macs {
    keys: Hmac<Sha256>,
    sessions: Hmac<Sha256>,
    setup: Hmac<Sha256>,
    invitations: Hmac<Sha256>,
    password_links: Hmac<Sha256>,
    audit: Hmac<Sha256>,
    check: String,
    fingerprint: String,
}

impl Macs {
    pub(crate) fn new(pepper: &Pepper) -> Self {
        Self {
            keys: keyed(pepper.0.as_ref()),
            sessions: keyed(&pepper.derive("sessions")),
            setup: keyed(&pepper.derive("setup")),
            invitations: keyed(&pepper.derive("invitations")),
            password_links: keyed(&pepper.derive("password links")),
            audit: keyed(&pepper.derive("audit")),
            check: hex(&pepper.derive("check")),
            fingerprint: pepper.fingerprint(),
        }
    }

    /// What is stored of an API key's secret.
    pub(crate) fn key(&self, secret: &str) -> MacBytes {
        finish(&self.keys, &[secret.as_bytes()])
    }

    /// What is stored of a session cookie.
    pub(crate) fn session(&self, token: &str) -> MacBytes {
        finish(&self.sessions, &[token.as_bytes()])
    }

    /// What is stored of a set-up token.
    pub(crate) fn setup(&self, token: &str) -> MacBytes {
        finish(&self.setup, &[token.as_bytes()])
    }

    /// What is stored of an invitation's token.
    pub(crate) fn invitation(&self, token: &str) -> MacBytes {
        finish(&self.invitations, &[token.as_bytes()])
    }

    /// What is stored of the token of a link to choose a password.
    pub(crate) fn password_link(&self, token: &str) -> MacBytes {
        finish(&self.password_links, &[token.as_bytes()])
    }

    /// The link of an audit chain: over the link before it and this event.
    pub(crate) fn audit(&self, previous: &[u8], body: &str) -> MacBytes {
        finish(&self.audit, &[previous, body.as_bytes()])
    }

    /// Kept in the database to recognise the pepper it was made with.
    pub(crate) fn check_value(&self) -> &str {
        &self.check
    }

    /// Which pepper a stored MAC was made with.
    pub(crate) fn pepper_id(&self) -> &str {
        &self.fingerprint
    }
}

fn finish(mac: &Hmac<Sha256>, parts: &[&[u8]]) -> MacBytes {
    let mut mac = mac.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

fn unhex(text: &str) -> Option<[u8; MAC_LEN]> {
    let mut bytes = [0u8; MAC_LEN];
    if text.len() != 2 * MAC_LEN || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_keyed_hash_agrees_with_the_published_vector() {
        // RFC 4231, test case 2.
        let mac = finish(&keyed(b"Jefe"), &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_pepper_file_is_made_once_for_its_owner_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pepper.key");
        assert!(matches!(Pepper::load_or_create(&path, None), Err(PepperError::Missing(_))));
        let made = Pepper::load_or_create(&path, Some(&SeededEntropy::new(1))).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Pepper::load_or_create(&path, None).unwrap();
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_eq!(Macs::new(&made).key("x"), Macs::new(&read).key("x"));
    }

    #[test]
    fn an_exposed_or_short_pepper_file_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pepper.key");
        std::fs::write(&path, "ab".repeat(32)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Pepper::load_or_create(&path, None).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Pepper::load_or_create(&path, None).is_ok());
        for bad in ["", "abcd", &"zz".repeat(32), &"é".repeat(32)] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(Pepper::load_or_create(&path, None), Err(PepperError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn every_purpose_has_a_key_of_its_own() {
        let macs = Macs::new(&Pepper::from_bytes([7; 32]));
        let all = [macs.key("x"), macs.session("x"), macs.setup("x"), macs.invitation("x"), macs.password_link("x"), macs.audit(b"", "x")];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one));
        }
    }
}
