//! The workspaces about whose keys a server goes on answering when it has lost touch, and how often it did.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Which workspaces, by id.
#[derive(Default)]
pub(crate) struct Lenience {
    workspaces: papaya::HashMap<String, ()>,
    /// How many there are, for who asks often.
    count: AtomicUsize,
    answers: AtomicU64,
    told: AtomicU64,
}

impl Lenience {
    pub(crate) fn set(&self, workspace: &str, lenient: bool) {
        let all = self.workspaces.pin();
        if lenient {
            all.insert(workspace.to_owned(), ());
        } else {
            all.remove(workspace);
        }
        self.count.store(all.len(), Ordering::Release);
    }

    pub(crate) fn replace(&self, workspaces: &HashSet<String>) {
        let all = self.workspaces.pin();
        all.retain(|id, ()| workspaces.contains(id));
        for id in workspaces {
            all.insert(id.clone(), ());
        }
        self.count.store(all.len(), Ordering::Release);
    }

    /// How many workspaces there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Is it one of them?
    pub(crate) fn includes(&self, workspace: &str) -> bool {
        self.count() > 0 && self.workspaces.pin().contains_key(workspace)
    }

    /// An answer was given that nobody else would have given.
    pub(crate) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// How many since the last time that this was asked.
    pub(crate) fn untold(&self) -> u64 {
        let answers = self.answers();
        answers.saturating_sub(self.told.swap(answers, Ordering::Relaxed))
    }
}
