//! Verification under load beside a bare axum route: throughput, processor time, latency.

use std::path::Path;

use anyhow::Result;

use crate::figures::{median, time, whole};
use crate::report::Row;
use crate::say;
use crate::server::Server;
use crate::wrk::{CONNECTIONS, Case, Load, Slice, Wrk};

/// What is compared: the same load, on Keyfold and on the reference.
pub(crate) struct Contest<'a> {
    /// The load generator.
    pub(crate) wrk: &'a Wrk,
    /// Keyfold with its keys.
    pub(crate) keyfold: &'a Server,
    /// The bare route.
    pub(crate) reference: &'a Server,
    /// Keys that Keyfold knows.
    pub(crate) known: &'a Path,
    /// Keys of another installation.
    pub(crate) unknown: &'a Path,
    /// How often everything is measured.
    pub(crate) rounds: u32,
    /// How long one slice takes, in seconds.
    pub(crate) seconds: u32,
}

/// One kind of load and what is said of it.
struct Subject<'a> {
    title: &'static str,
    load: Load<'a>,
    goals: [&'static str; 2],
    turns: Vec<Turn>,
}

/// A slice on Keyfold and the two on the reference around it.
#[derive(Clone, Copy)]
struct Turn {
    keyfold: Slice,
    around: [Slice; 2],
}

impl Turn {
    fn beside(&self, figure: impl Fn(&Slice) -> f64) -> f64 {
        f64::midpoint(figure(&self.around[0]), figure(&self.around[1]))
    }
}

impl Contest<'_> {
    /// Measures every kind of load, in turn, round after round.
    pub(crate) async fn run(&self) -> Result<Vec<Row>> {
        let plain = Load { case: Case::Whoami, keys: self.known, pause_ms: 0, refused: false };
        // Whatever Keyfold is asked, the reference answers the same plain GET: its work is the framework's and nothing else.
        let reference = async || self.wrk.slice(self.reference, &plain, self.seconds).await;
        let mut subjects = [
            Subject::new("GET /v1/whoami, known key", plain, ["≥ 0.95", "≤ 1.08"]),
            Subject::new("POST /v1/verify, known key", Load { case: Case::Verify, ..plain }, ["≥ 0.80", ""]),
            Subject::new("GET /v1/whoami, unknown key", Load { keys: self.unknown, refused: true, ..plain }, ["no dearer than known", ""]),
            Subject::new("GET /v1/whoami, junk", Load { case: Case::Junk, refused: true, ..plain }, ["no dearer than known", ""]),
        ];
        for subject in &subjects {
            self.wrk.slice(self.keyfold, &subject.load, 1).await?;
        }
        let mut before = reference().await?;
        for round in 1..=self.rounds {
            say(&format!("verification, round {round} of {}", self.rounds));
            for subject in &mut subjects {
                let keyfold = self.wrk.slice(self.keyfold, &subject.load, self.seconds).await?;
                let after = reference().await?;
                subject.turns.push(Turn { keyfold, around: [before, after] });
                before = after;
            }
        }
        let mut rows: Vec<Row> = subjects.iter().flat_map(Subject::rows).collect();
        rows.push(self.in_batches(plain).await?);
        rows.push(self.at_ease(plain, before.rate).await?);
        rows.push(busy(&subjects));
        Ok(rows)
    }

    /// Keys in batches of 100, beside keys one by one.
    async fn in_batches(&self, plain: Load<'_>) -> Result<Row> {
        say("verification, in batches");
        let (batches, single) = (Load { case: Case::Batch, ..plain }, Load { case: Case::Verify, ..plain });
        let (mut together, mut apart) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            apart.push(self.wrk.slice(self.keyfold, &single, self.seconds).await?.rate);
            together.push(self.wrk.slice(self.keyfold, &batches, self.seconds).await?.rate * 100.0);
        }
        let (together, apart) = (median(together), median(apart));
        let what = "POST /v1/verify:batch, 100 known keys: keys/s".into();
        let beside = format!("{} one by one", whole(apart));
        Ok(Row { what, keyfold: whole(together), beside, ratio: ratio(together / apart), goal: "≥ 2,200,000" })
    }

    /// Latency at about a fifth of what the reference can do.
    async fn at_ease(&self, plain: Load<'_>, capacity: f64) -> Result<Row> {
        say("verification, at ease");
        let pause_ms = (1..1000).find(|pause| f64::from(CONNECTIONS) * 1000.0 / f64::from(*pause) <= capacity / 5.0).unwrap_or(1000);
        let load = Load { pause_ms, ..plain };
        let (mut own, mut other, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            other.push(self.wrk.slice(self.reference, &load, self.seconds).await?.p99_micros);
            let slice = self.wrk.slice(self.keyfold, &load, self.seconds).await?;
            own.push(slice.p99_micros);
            rates.push(slice.rate);
        }
        let (own, other) = (median(own), median(other));
        let what = format!("GET /v1/whoami at {} requests/s: p99", whole(median(rates)));
        Ok(Row { what, keyfold: time(own), beside: format!("{} bare axum", time(other)), ratio: ratio(own / other), goal: "≤ + 50 µs" })
    }
}

impl<'a> Subject<'a> {
    const fn new(title: &'static str, load: Load<'a>, goals: [&'static str; 2]) -> Self {
        Self { title, load, goals, turns: Vec::new() }
    }

    fn rows(&self) -> [Row; 3] {
        let [rate_goal, cpu_goal] = self.goals;
        [
            self.row(format!("{}: requests/s", self.title), |slice| slice.rate, whole, rate_goal),
            self.row(format!("{}: CPU per request", self.title), |slice| slice.cpu_micros, time, cpu_goal),
            self.row(format!("{}: p99, all connections busy", self.title), |slice| slice.p99_micros, time, ""),
        ]
    }

    fn row(&self, what: String, figure: impl Fn(&Slice) -> f64, show: fn(f64) -> String, goal: &'static str) -> Row {
        let own = self.middle(|turn| figure(&turn.keyfold));
        let other = self.middle(|turn| turn.beside(&figure));
        // The middle of the ratios and not the ratio of the middles: each compares neighbours.
        let compared = self.middle(|turn| figure(&turn.keyfold) / turn.beside(&figure));
        Row { what, keyfold: show(own), beside: format!("{} bare axum", show(other)), ratio: ratio(compared), goal }
    }

    fn middle(&self, figure: impl Fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().map(figure).collect())
    }
}

/// How much of its core each server had under full load. Where that is little, something else ran, or the load was too weak,
/// and only processor time per request can be compared.
fn busy(subjects: &[Subject<'_>]) -> Row {
    let own = median(subjects.iter().map(|subject| subject.middle(|turn| turn.keyfold.busy)).collect());
    let other = median(subjects.iter().map(|subject| subject.middle(|turn| turn.beside(|slice| slice.busy))).collect());
    let percent = |part: f64| format!("{:.0} %", part * 100.0);
    let what = "Server's core in use under full load".into();
    Row { what, keyfold: percent(own), beside: format!("{} bare axum", percent(other)), goal: "near 100 %", ..Row::default() }
}

/// A ratio for people.
pub(crate) fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(rate: f64) -> Slice {
        Slice { rate, p99_micros: 400.0, p999_micros: 900.0, cpu_micros: 1e6 / rate, busy: 1.0 }
    }

    #[test]
    fn a_slice_is_compared_with_its_neighbours_so_that_drift_cancels_out() {
        let load = Load { case: Case::Whoami, keys: Path::new("keys"), pause_ms: 0, refused: false };
        let mut subject = Subject::new("whoami", load, ["≥ 0.95", ""]);
        // The machine slows down by half from turn to turn; Keyfold is at 0.9 throughout.
        for speed in [1.0, 0.5, 0.25] {
            let around = [slice(110_000.0 * speed), slice(90_000.0 * speed)];
            subject.turns.push(Turn { keyfold: slice(90_000.0 * speed), around });
        }
        let [rate, ..] = subject.rows();
        assert_eq!((rate.keyfold.as_str(), rate.beside.as_str(), rate.ratio.as_str()), ("45,000", "50,000 bare axum", "0.90"));
    }
}
