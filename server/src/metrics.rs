//! What a server counts of itself for `/metrics`: requests, how long they took, verdicts.
//!
//! Counting is a handful of additions to numbers that no other thread is likely to touch at that moment: no lock, no
//! allocation. What is not here: what the engine counts, and what all of it looks like as text (`exposition`).

mod exposition;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use keyfold_domain::verdict::Code;

pub(crate) use exposition::answer;

/// What is asked, as metrics tell requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `GET /v1/whoami`.
    Whoami,
    /// `POST /v1/verify`.
    Verify,
    /// `POST /v1/verify:batch`.
    VerifyBatch,
    /// Forward-auth, of a named workspace or any.
    ForwardAuth,
    /// The same, asked by Envoy over gRPC.
    ExtAuthz,
    /// Everything behind the router.
    Other,
}

impl Endpoint {
    const ALL: [Self; 6] = [Self::Whoami, Self::Verify, Self::VerifyBatch, Self::ForwardAuth, Self::ExtAuthz, Self::Other];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Whoami => "whoami",
            Self::Verify => "verify",
            Self::VerifyBatch => "verify_batch",
            Self::ForwardAuth => "forward_auth",
            Self::ExtAuthz => "ext_authz",
            Self::Other => "other",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Whoami => 0,
            Self::Verify => 1,
            Self::VerifyBatch => 2,
            Self::ForwardAuth => 3,
            Self::ExtAuthz => 4,
            Self::Other => 5,
        }
    }
}

/// The place of a code among [`Code::ALL`].
const fn place(code: Code) -> usize {
    match code {
        Code::Malformed => 0,
        Code::NotFound => 1,
        Code::Deleted => 2,
        Code::Deactivated => 3,
        Code::OwnerDisabled => 4,
        Code::Expired => 5,
        Code::Dormant => 6,
        Code::IpDenied => 7,
        Code::MissingScope => 8,
        Code::WrongResource => 9,
        Code::RateLimited => 10,
        Code::QuotaExceeded => 11,
        Code::Valid => 12,
    }
}

/// Status classes: 1xx to 5xx.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of how long an answer took, in nanoseconds. A verdict takes a few microseconds; a page, milliseconds.
const BOUNDS: [u64; 16] = [
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    50_000_000,
    250_000_000,
    1_000_000_000,
    5_000_000_000,
];

/// So many threads count without meeting on one cache line.
const STRIPES: usize = 16;

/// What some of the threads counted.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    verdicts: [AtomicU64; Code::ALL.len()],
    endpoints: [Tally; Endpoint::ALL.len()],
}

/// What was counted of one endpoint.
#[derive(Debug, Default)]
struct Tally {
    statuses: [AtomicU64; CLASSES.len()],
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// Counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    stripes: [Stripe; STRIPES],
}

/// The sums of all threads.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    verdicts: [u64; Code::ALL.len()],
    endpoints: [TallySums; Endpoint::ALL.len()],
}

#[derive(Debug, Default, PartialEq, Eq)]
struct TallySums {
    statuses: [u64; CLASSES.len()],
    buckets: [u64; BOUNDS.len() + 1],
    nanos: u64,
}

fn count(counter: Option<&AtomicU64>, by: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

impl Metrics {
    /// The counters of this thread.
    fn stripe(&self) -> Option<&Stripe> {
        thread_local! {
            static PLACE: usize = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES
            };
        }
        self.stripes.get(PLACE.with(|place| *place))
    }

    /// Counts a verdict.
    pub(crate) fn verdict(&self, code: Code) {
        count(self.stripe().and_then(|stripe| stripe.verdicts.get(place(code))), 1);
    }

    /// Counts an answer, and how long it took.
    pub(crate) fn answered(&self, endpoint: Endpoint, status: StatusCode, took: Duration) {
        let Some(tally) = self.stripe().and_then(|stripe| stripe.endpoints.get(endpoint.index())) else { return };
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| nanos <= *bound).unwrap_or(BOUNDS.len());
        count(tally.statuses.get(usize::from(status.as_u16() / 100).wrapping_sub(1)), 1);
        count(tally.buckets.get(bucket), 1);
        count(Some(&tally.nanos), nanos);
    }

    fn sums(&self) -> Sums {
        fn add(sums: &mut [u64], counters: &[AtomicU64]) {
            for (sum, counter) in sums.iter_mut().zip(counters) {
                *sum = sum.wrapping_add(counter.load(Ordering::Relaxed));
            }
        }
        let mut sums = Sums::default();
        for stripe in &self.stripes {
            add(&mut sums.verdicts, &stripe.verdicts);
            for (sum, tally) in sums.endpoints.iter_mut().zip(&stripe.endpoints) {
                add(&mut sum.statuses, &tally.statuses);
                add(&mut sum.buckets, &tally.buckets);
                sum.nanos = sum.nanos.wrapping_add(tally.nanos.load(Ordering::Relaxed));
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_and_endpoint_has_a_counter_of_its_own() {
        let metrics = Metrics::default();
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(place(code), at);
            metrics.verdict(code);
        }
        for (at, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint.index(), at);
            metrics.answered(endpoint, StatusCode::OK, Duration::ZERO);
        }
        let sums = metrics.sums();
        assert_eq!(sums.verdicts, [1; Code::ALL.len()]);
        assert!(sums.endpoints.iter().all(|tally| tally.statuses == [0, 1, 0, 0, 0] && tally.buckets[0] == 1));
    }

    #[test]
    fn an_answer_is_in_the_narrowest_bucket_that_holds_it() {
        let metrics = Metrics::default();
        for nanos in [2_500, 2_501, 5_000_000_000, 5_000_000_001] {
            metrics.answered(Endpoint::Verify, StatusCode::BAD_REQUEST, Duration::from_nanos(nanos));
        }
        let tally = &metrics.sums().endpoints[Endpoint::Verify.index()];
        let filled: Vec<usize> = (0..tally.buckets.len()).filter(|at| tally.buckets[*at] == 1).collect();
        assert_eq!(filled, [0, 1, BOUNDS.len() - 1, BOUNDS.len()]);
        assert_eq!((tally.nanos, tally.statuses), (10_000_005_002, [0, 0, 0, 4, 0]));
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn nothing_that_threads_count_at_once_is_lost() {
        let metrics = Metrics::default();
        std::thread::scope(|scope| {
            for _ in 0..STRIPES * 2 {
                scope.spawn(|| (0..1000).for_each(|_| metrics.verdict(Code::Valid)));
            }
        });
        assert_eq!(metrics.sums().verdicts[place(Code::Valid)], 32_000);
    }
}
