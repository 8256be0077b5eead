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

/// What the second line of a pepper's file starts with: the key of the audit log follows.
const AUDIT: &str = "audit";

/// 32 random bytes that key every stored hash. Losing it loses every key, so its file belongs in the backup, apart from
/// the database's.
///
/// One that took another one's place goes on linking the audit log with the key of the first, so that one chain stays one
/// chain, and knows the one before for as long as some secrets need that.
pub struct Pepper {
    bytes: Zeroizing<MacBytes>,
    /// What links the audit log, where that does not follow from the bytes.
    audit: Option<Zeroizing<MacBytes>>,
    /// The one before.
    old: Option<Box<Pepper>>,
}

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
    #[error(
        "the pepper file {0} must hold 64 hexadecimal digits, and nothing else but what Keyfold wrote below. Put the right file back from your backup"
    )]
    Malformed(PathBuf),
    /// The file system refused.
    #[error("the pepper file {0} cannot be used: {1}")]
    Io(PathBuf, std::io::Error),
}

impl Pepper {
    /// A pepper from its bytes.
    pub fn from_bytes(bytes: [u8; MAC_LEN]) -> Self {
        Self { bytes: Zeroizing::new(bytes), audit: None, old: None }
    }

    /// Reads the pepper file, or makes it (mode 0600, synced to disk) if it is absent and `entropy` is given. A file beside
    /// it with the ending `.old` is the pepper before.
    pub fn load_or_create(path: &Path, entropy: Option<&dyn Entropy>) -> Result<Self, PepperError> {
        match (Self::load(path, &Self::beside(path, ".old")), entropy) {
            (Err(PepperError::Missing(_)), Some(entropy)) => {
                let mut bytes = [0u8; MAC_LEN];
                entropy.fill(&mut bytes);
                let made = Self::from_bytes(bytes);
                made.save(path)?;
                Ok(made)
            }
            (loaded, _) => loaded,
        }
    }

    /// Reads a pepper file, and as the pepper before it the one in `old` if that is there.
    pub fn load(path: &Path, old: &Path) -> Result<Self, PepperError> {
        let read = |path: &Path| match File::open(path) {
            Ok(file) => Self::read(path, file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(PepperError::Missing(path.to_owned())),
            Err(error) => Err(PepperError::Io(path.to_owned(), error)),
        };
        let pepper = read(path)?;
        match read(old) {
            Ok(old) if *old.bytes != *pepper.bytes => Ok(Self { old: Some(Box::new(old)), ..pepper }),
            // Left behind by a rotation that had not begun.
            Ok(_) | Err(PepperError::Missing(_)) => Ok(pepper),
            Err(error) => Err(error),
        }
    }

    /// The name of a file beside a pepper's.
    pub fn beside(path: &Path, ending: &str) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    }

    fn read(path: &Path, file: File) -> Result<Self, PepperError> {
        let io = |error| PepperError::Io(path.to_owned(), error);
        let mode = file.metadata().map_err(io)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(PepperError::Exposed(path.to_owned(), mode));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(1024).read_to_string(&mut text).map_err(io)?;
        Self::parse(&text).ok_or_else(|| PepperError::Malformed(path.to_owned()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.trim().lines().map(str::trim);
        let bytes = Zeroizing::new(unhex(lines.next()?)?);
        let audit = match lines.next() {
            Some(line) => Some(Zeroizing::new(unhex(line.strip_prefix(AUDIT)?.trim_start())?)),
            None => None,
        };
        lines.next().is_none().then_some(Self { bytes, audit, old: None })
    }

    /// Writes the pepper, without the one before, into a file that is not there yet: for its owner alone, synced to disk.
    pub fn save(&self, path: &Path) -> Result<(), PepperError> {
        let mut text = Zeroizing::new(hex(self.bytes.as_ref()) + "\n");
        if let Some(audit) = &self.audit {
            text.push_str(AUDIT);
            text.push(' ');
            text.push_str(&Zeroizing::new(hex(audit.as_ref())));
            text.push('\n');
        }
        let write = || -> std::io::Result<()> {
            // create_new: of two first starts at the same moment one fails instead of both using a pepper of their own.
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            sync_folder(path)
        };
        write().map_err(|error| PepperError::Io(path.to_owned(), error))
    }

    /// A fresh pepper in the place of this one, which becomes the one before. The audit log is linked as it was.
    #[must_use]
    pub fn rotated(self, entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0u8; MAC_LEN]);
        entropy.fill(bytes.as_mut());
        Self { bytes, audit: Some(self.audit_key()), old: Some(Box::new(Self { old: None, ..self })) }
    }

    /// The pepper before this one.
    pub fn old(&self) -> Option<&Self> {
        self.old.as_deref()
    }

    fn audit_key(&self) -> Zeroizing<MacBytes> {
        self.audit.clone().unwrap_or_else(|| Zeroizing::new(self.derive("audit")))
    }

    /// Eight hexadecimal digits that tell peppers apart and reveal nothing of them.
    pub fn fingerprint(&self) -> String {
        hex(&self.derive("fingerprint")[..4])
    }

    fn derive(&self, purpose: &str) -> MacBytes {
        let mut mac = keyed(self.bytes.as_ref());
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
    old: Option<OldMacs>,
}

/// What is still needed of the pepper before.
struct OldMacs {
    keys: Hmac<Sha256>,
    check: String,
    fingerprint: String,
}

/// Kept in the database to recognise a pepper.
pub(crate) fn check_value(pepper: &Pepper) -> String {
    hex(&pepper.derive("check"))
}

impl Macs {
    pub(crate) fn new(pepper: &Pepper) -> Self {
        let old =
            pepper.old().map(|old| OldMacs { keys: keyed(old.bytes.as_ref()), check: check_value(old), fingerprint: old.fingerprint() });
        Self {
            old,
            keys: keyed(pepper.bytes.as_ref()),
            sessions: keyed(&pepper.derive("sessions")),
            setup: keyed(&pepper.derive("setup")),
            invitations: keyed(&pepper.derive("invitations")),
            password_links: keyed(&pepper.derive("password links")),
            audit: keyed(pepper.audit_key().as_ref()),
            check: check_value(pepper),
            fingerprint: pepper.fingerprint(),
        }
    }

    /// The same without the pepper before, which nothing needs any more.
    pub(crate) fn without_old(self) -> Self {
        Self { old: None, ..self }
    }

    /// What is stored of an API key's secret.
    pub(crate) fn key(&self, secret: &str) -> MacBytes {
        finish(&self.keys, &[secret.as_bytes()])
    }

    /// What was stored of an API key's secret under the pepper before; `None` if there is none.
    pub(crate) fn key_under_old(&self, secret: &str) -> Option<MacBytes> {
        self.old.as_ref().map(|old| finish(&old.keys, &[secret.as_bytes()]))
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

    /// The check value and the name of the pepper before.
    pub(crate) fn old(&self) -> Option<(&str, &str)> {
        self.old.as_ref().map(|old| (old.check.as_str(), old.fingerprint.as_str()))
    }
}

/// Makes a new name in a folder outlast a power cut.
pub(crate) fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
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

/// The 32 bytes that a text of hexadecimal digits stands for.
pub(crate) fn unhex(text: &str) -> Option<[u8; MAC_LEN]> {
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
    fn a_rotated_pepper_knows_the_one_before_and_links_the_audit_log_as_that_did() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old_path) = (folder.path().join("pepper.key"), folder.path().join("pepper.key.old"));
        let first = Macs::new(&Pepper::from_bytes([7; 32]));
        let rotated = Pepper::from_bytes([7; 32]).rotated(&SeededEntropy::new(1));
        rotated.save(&path).unwrap();
        rotated.old().unwrap().save(&old_path).unwrap();
        assert!(matches!(rotated.save(&path), Err(PepperError::Io(..))), "a pepper is never written over");
        let second = Macs::new(&Pepper::load_or_create(&path, None).unwrap());
        assert_eq!(second.audit(b"x", "y"), first.audit(b"x", "y"));
        assert_ne!(second.key("x"), first.key("x"));
        assert_ne!(second.session("x"), first.session("x"));
        assert_eq!(second.key_under_old("x"), Some(first.key("x")));
        assert_eq!(second.old(), Some((first.check_value(), first.pepper_id())));
        assert_eq!(second.without_old().key_under_old("x"), None);
        // And so does the third.
        let third = Macs::new(&Pepper::load(&path, &old_path).unwrap().rotated(&SeededEntropy::new(2)));
        assert_eq!(third.audit(b"x", "y"), first.audit(b"x", "y"));
        assert_ne!(third.key_under_old("x"), Some(first.key("x")), "two live peppers at most");
        // A copy of the present one is none from before.
        std::fs::remove_file(&old_path).unwrap();
        std::fs::copy(&path, &old_path).unwrap();
        assert!(Pepper::load_or_create(&path, None).unwrap().old().is_none());
        for bad in ["audit", "audit 00", "other 00", &format!("audit {}\nmore", "ab".repeat(32))] {
            assert!(Pepper::parse(&format!("{}\n{bad}\n", "ab".repeat(32))).is_none(), "{bad}");
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
