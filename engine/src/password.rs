//! Passwords: what is accepted, and hashing with argon2id (m = 19456 KiB, t = 2, p = 1; OWASP ASVS 5.0 appendix C) behind
//! a bound on how many run at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyfold_domain::problem::{Problem, ProblemCode};
use tokio::sync::Semaphore;
use zxcvbn::{Score, zxcvbn};

use crate::clock::Entropy;
use crate::error::Error;
use crate::secrets::Password;

/// The shortest password, in characters: for a password alone, without a second factor (NIST SP 800-63B-4).
pub const MIN_CHARS: usize = 15;
/// The longest password, in characters.
pub const MAX_CHARS: usize = 256;
/// Requests that may wait for their turn to hash; more are turned away.
const QUEUE: usize = 32;

/// Is this a password we take? Length counts characters; there are no composition rules, but what guessing tools try
/// first is refused, the person's own names included.
pub(crate) fn check(password: &Password, own_words: &[&str]) -> Result<(), Problem> {
    let text = password.expose();
    let length = text.chars().count();
    if length < MIN_CHARS {
        return Err(Problem::invalid("password", format!("Use at least {MIN_CHARS} characters. A few words in a row are fine.")));
    }
    if length > MAX_CHARS {
        return Err(Problem::invalid("password", format!("Use at most {MAX_CHARS} characters.")));
    }
    let words: Vec<&str> = own_words.iter().copied().chain(["keyfold"]).collect();
    if zxcvbn(text, &words).score() < Score::Three {
        return Err(Problem::invalid(
            "password",
            "This password is among the first that would be guessed. Use words that do not usually stand together.",
        ));
    }
    Ok(())
}

/// Hashes and verifies, a few at a time.
#[derive(Clone)]
pub(crate) struct Hasher {
    inner: Arc<Inner>,
}

struct Inner {
    turns: Semaphore,
    waiting: AtomicUsize,
    params: Params,
    /// Verified against when there is no such user, so that this takes as long as a wrong password. No password has it.
    decoy: String,
}

impl Hasher {
    /// A hasher that runs at most `at_once` hashes at the same time.
    pub(crate) fn new(at_once: usize, entropy: &dyn Entropy) -> Result<Self, Error> {
        let params = Params::new(19_456, 2, 1, None).map_err(|error| Error::Internal(error.to_string()))?;
        let decoy = decoy(&params, entropy);
        let inner = Inner { turns: Semaphore::new(at_once), waiting: AtomicUsize::new(0), params, decoy };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The PHC string to store for a password.
    pub(crate) async fn hash(&self, password: &Password, entropy: &dyn Entropy) -> Result<String, Error> {
        let mut salt = [0u8; 16];
        entropy.fill(&mut salt);
        let text = zeroize::Zeroizing::new(password.expose().to_owned());
        let params = self.inner.params.clone();
        self.run(move || hash(&params, text.as_bytes(), salt)).await?
    }

    /// A hash to store for somebody who has no password yet: no password has it, and refusing one takes as long as ever.
    pub(crate) fn unusable(&self, entropy: &dyn Entropy) -> String {
        decoy(&self.inner.params, entropy)
    }

    /// Is it the password of that stored hash? With `None` it takes as long and says no.
    pub(crate) async fn verify(&self, password: &Password, stored: Option<&str>) -> Result<bool, Error> {
        let text = zeroize::Zeroizing::new(password.expose().to_owned());
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.inner.decoy).to_owned();
        self.run(move || {
            let parsed = PasswordHash::new(&stored).map_err(|_| Error::Internal("a stored password hash cannot be read".into()))?;
            Ok(Argon2::default().verify_password(text.as_bytes(), &parsed).is_ok() && known)
        })
        .await?
    }

    /// Was that hash made with today's parameters?
    pub(crate) fn is_current(&self, stored: &str) -> bool {
        stored.rsplitn(3, '$').last() == self.inner.decoy.rsplitn(3, '$').last()
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let _turn = self.turn().await?;
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
    }

    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Error> {
        if let Ok(turn) = self.inner.turns.try_acquire() {
            return Ok(turn);
        }
        let waiting = Waiting::enter(&self.inner.waiting)?;
        let turn = self.inner.turns.acquire().await.map_err(|error| Error::Internal(error.to_string()));
        drop(waiting);
        turn
    }
}

/// A place in the queue, given back even when the request goes away while waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, Error> {
        let entered = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) < QUEUE {
            return Ok(entered);
        }
        let problem = Problem::new(ProblemCode::RateLimited, "Too many people are signing in at the moment. Try again in a few seconds.");
        Err(Error::Refused(Problem { retry_after: Some(2), ..problem }))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stored hash of nothing: random where the hash would be, which costs a start nothing and a check as much as any other.
fn decoy(params: &Params, entropy: &dyn Entropy) -> String {
    let mut random = [0u8; 48];
    entropy.fill(&mut random);
    let (salt, output) = random.split_at(16);
    let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
    format!("$argon2id$v=19$m={},t={},p={}${salt}${output}", params.m_cost(), params.t_cost(), params.p_cost())
}

fn hash(params: &Params, password: &[u8], salt: [u8; 16]) -> Result<String, Error> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let hashed: argon2::password_hash::phc::PasswordHash =
        argon2.hash_password_with_salt(password, &salt).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(hashed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    fn verdict(text: &str) -> Result<(), Problem> {
        check(&Password::new(text.to_owned()), &["ada", "ada@example.com"])
    }

    #[test]
    fn length_counts_characters_and_there_are_no_composition_rules() {
        assert!(verdict("violet anchor ki").is_ok());
        assert!(verdict("violet anchor").is_err());
        assert!(verdict("🦀🌵🛶🎻🧭🪁🧊🪵🛖🦚🪐🧶🎏🪗🛷").is_ok());
        assert!(verdict(&"a mixed bag of different words and 9 numbers ".repeat(6)[..256]).is_ok());
        assert!(verdict(&"x1".repeat(129)).is_err());
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        for bad in ["passwordpassword", "aaaaaaaaaaaaaaaaaaaa", "123456789012345678", "keyfoldkeyfoldkeyfold", "ada@example.comada"] {
            assert_eq!(verdict(bad).unwrap_err().field.as_deref(), Some("password"), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_password_is_verified_exactly_as_typed_and_an_unknown_user_is_never_verified() {
        let entropy = SeededEntropy::new(1);
        let hasher = Hasher::new(2, &entropy).unwrap();
        let stored = hasher.hash(&Password::new(" spaces kept at both ends ".into()), &entropy).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(hasher.verify(&Password::new(" spaces kept at both ends ".into()), Some(&stored)).await.unwrap());
        assert!(!hasher.verify(&Password::new("spaces kept at both ends".into()), Some(&stored)).await.unwrap());
        assert!(hasher.is_current(&stored) && !hasher.is_current(&stored.replace("t=2", "t=1")));
        assert!(!hasher.verify(&Password::new("decoy".into()), None).await.unwrap());
        // What an unknown user's password is held against takes as long: the same work, on a hash of the same size.
        assert!(hasher.is_current(&hasher.inner.decoy) && hasher.inner.decoy.len() == stored.len());
    }

    #[tokio::test]
    async fn a_full_queue_turns_people_away_and_says_when_to_come_back() {
        let hasher = Hasher::new(1, &SeededEntropy::new(1)).unwrap();
        let held = hasher.inner.turns.acquire().await.unwrap();
        hasher.inner.waiting.store(QUEUE, Ordering::Relaxed);
        let refused = hasher.verify(&Password::new("x".into()), None).await.unwrap_err();
        assert!(refused.is(ProblemCode::RateLimited) && refused.problem().retry_after.is_some());
        assert_eq!(hasher.inner.waiting.load(Ordering::Relaxed), QUEUE, "the refused one left its place");
        drop(held);
    }
}
