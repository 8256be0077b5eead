//! What the engine tells of itself to whoever watches it.

use std::time::Duration;

use super::verify::Verifier;

/// Figures about the verifier's memory and about counts on their way to the database, as of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Keys in memory.
    pub keys: u64,
    /// Secrets in memory: more than keys while some are rotated.
    pub secrets: u64,
    /// Are verdicts given? Not before everything is loaded, nor while a change may have been missed.
    pub exact: bool,
    /// The number of the last change that is in force here; -1 before everything is loaded.
    pub revision: i64,
    /// For how long the change log was not read to its end. Meaningful where a server follows it.
    pub change_log_age: Duration,
    /// For how long what was counted was not written completely.
    pub flush_age: Duration,
    /// Secrets with counts that wait to be written.
    pub waiting: u64,
    /// How often counts could not be written; they are kept for the next try.
    pub flush_failures: u64,
    /// Sightings of clients of old secrets that were not kept: two of them at once, or of more clients than are kept.
    pub dropped: u64,
    /// Workspaces that want answers from a server that has lost touch with the database.
    pub lenient_workspaces: u64,
    /// Answers that were given to them then.
    pub stale_answers: u64,
}

impl Verifier {
    /// The figures of this moment. Reads the memory alone.
    pub fn figures(&self) -> Figures {
        let (keyset, count) = (&self.core.keyset, |number: usize| u64::try_from(number).unwrap_or(u64::MAX));
        Figures {
            keys: count(keyset.len()),
            secrets: count(keyset.secrets()),
            exact: self.core.is_exact(),
            revision: self.core.follower.applied(),
            change_log_age: Duration::from_millis(self.core.follower.out_of_touch_ms()),
            flush_age: keyset.progress.since_flush(),
            waiting: keyset.progress.waiting(),
            flush_failures: keyset.progress.flush_failures(),
            dropped: keyset.progress.dropped(),
            lenient_workspaces: count(keyset.lenience.count()),
            stale_answers: keyset.lenience.answers(),
        }
    }
}
