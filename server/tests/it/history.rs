//! A history of three servers under faults, checked afterwards: no answer may go by what an acknowledged change has ended,
//! beyond the stated bound, no key is good past its end, and no acknowledged change may be lost. The database is killed and
//! replaced by its standby in a history of its own.
//!
//! What is done to which key through which server, and which fault comes when, follows from a seed
//! (`KEYFOLD_TEST_SEED`); how the machine interleaves it does not. `make soak` runs it for longer.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyfold_engine::testing::SeededEntropy;
use keyfold_engine::{Clock as _, Entropy as _, SystemClock};
use serde_json::json;

use crate::support::{BUDGET, Call, Cluster, Made, Pair, eventually, send, verdict};

const NODES: usize = 3;
const KEYS: usize = 12;
/// Keys to which nothing is done: they end by themselves, each at a moment of its own.
const ENDING: usize = 6;
const WRITERS: usize = 3;

/// Choices that follow from a seed.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound
    }

    fn index(&self, bound: usize) -> usize {
        usize::try_from(self.below(u64::try_from(bound).unwrap())).unwrap()
    }

    fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

/// What is done to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Deactivate,
    Activate,
    Narrow,
    Widen,
    Delete,
}

/// What a key is, as far as `chat` is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    active: bool,
    wide: bool,
    deleted: bool,
}

impl State {
    const NEW: Self = Self { active: true, wide: true, deleted: false };

    fn after(self, act: Act) -> Self {
        match act {
            Act::Deactivate => Self { active: false, ..self },
            Act::Activate => Self { active: true, ..self },
            Act::Narrow => Self { wide: false, ..self },
            Act::Widen => Self { wide: true, ..self },
            Act::Delete => Self { deleted: true, ..self },
        }
    }

    fn verdict(self) -> &'static str {
        match self {
            Self { deleted: true, .. } => "not_found",
            Self { active: false, .. } => "deactivated",
            Self { wide: false, .. } => "missing_scope",
            _ => "valid",
        }
    }
}

/// An act that was acknowledged. Acts on one key follow one another.
#[derive(Debug, Clone, Copy)]
struct Change {
    invoked: Instant,
    acknowledged: Instant,
    node: usize,
    /// The answer said that no server acts on what was before.
    everywhere: bool,
    state: State,
}

/// The changes of a key, and from when on nothing can be said of it, because an act got no answer at all.
#[derive(Debug, Default)]
struct Story {
    changes: Vec<Change>,
    unknown_from: Option<Instant>,
}

/// What a server said of a key.
struct Seen {
    begun: Instant,
    ended: Instant,
    /// The same, by the clock that keys end by: the servers' and this one are one machine's.
    at: (i64, i64),
    node: usize,
    key: usize,
    verdict: String,
}

impl Story {
    /// Everything that a server may take the key for in an answer to a question of that time.
    fn possible(&self, seen: &Seen) -> Vec<&'static str> {
        let bound = |change: &Change| if change.everywhere || change.node == seen.node { Duration::ZERO } else { BUDGET };
        let settled = self.changes.iter().rposition(|change| change.acknowledged + bound(change) <= seen.begun);
        let before = settled.map_or(State::NEW, |at| self.changes[at].state);
        let later = self.changes[settled.map_or(0, |at| at + 1)..].iter().filter(|change| change.invoked <= seen.ended);
        std::iter::once(before).chain(later.map(|change| change.state)).map(State::verdict).collect()
    }
}

/// Everything that a server may take a key for that ends at that moment.
fn possible_at_its_end(ends_at: i64, seen: &Seen) -> &'static [&'static str] {
    match seen.at {
        (begun, _) if begun >= ends_at => &["expired"],
        (_, ended) if ended < ends_at => &["valid"],
        _ => &["valid", "expired"],
    }
}

/// Waits, or is told to stop.
fn pause(stop: &Receiver<()>, millis: u64) -> bool {
    stop.recv_timeout(Duration::from_millis(millis)) == Err(RecvTimeoutError::Timeout)
}

fn call(act: Act, key: &Made, caller: &str, everywhere: bool) -> Call {
    let query = if everywhere { "?wait=all&wait_seconds=10" } else { "" };
    let patch = |scopes: &[&str]| Call::patch(format!("{}{query}", key.path())).json(&json!({ "scopes": scopes }));
    let call = match act {
        Act::Deactivate => Call::post(format!("{}/deactivate{query}", key.path())),
        Act::Activate => Call::post(format!("{}/activate", key.path())),
        Act::Narrow => patch(&["inference"]),
        Act::Widen => patch(&["chat", "inference"]),
        Act::Delete => Call::delete(format!("{}{query}", key.path())),
    };
    call.bearer(caller)
}

/// Does one act until it is acknowledged, through one server after the other.
fn carry_out(act: Act, key: &Made, caller: &str, ports: &[u16], dice: &Dice, story: &Mutex<Story>) -> bool {
    let everywhere = dice.below(2) == 0;
    let before = story.lock().unwrap().changes.last().map_or(State::NEW, |change| change.state);
    let invoked = Instant::now();
    loop {
        let node = dice.index(ports.len());
        let Some(answer) = send(ports[node], &call(act, key, caller, everywhere)) else {
            // Whether and when it will be done, nobody knows.
            story.lock().unwrap().unknown_from = Some(invoked);
            return false;
        };
        let acknowledged = Instant::now();
        let done = match answer.code() {
            503 => continue,
            // Done by a try before, whose answer was a fault.
            404 | 409 if act == Act::Delete => None,
            code => {
                assert!(code == 200 || code == 204, "{act:?}: {code} {}", answer.text());
                (code == 200 && everywhere && act != Act::Activate).then(|| answer.json()["in_force"]["complete"] == json!(true))
            }
        };
        let change = Change { invoked, acknowledged, node, everywhere: done == Some(true), state: before.after(act) };
        story.lock().unwrap().changes.push(change);
        return true;
    }
}

fn write(number: usize, seed: u64, caller: &str, ports: &[u16], keys: &[Made], stories: &[Mutex<Story>], stop: &Receiver<()>) {
    let dice = Dice(SeededEntropy::new(seed.wrapping_mul(1_000).wrapping_add(u64::try_from(number).unwrap())));
    while pause(stop, 5 + dice.below(60)) {
        let at = dice.index(KEYS / WRITERS) * WRITERS + number;
        let story = &stories[at];
        let state = {
            let story = story.lock().unwrap();
            if story.unknown_from.is_some() {
                continue;
            }
            story.changes.last().map_or(State::NEW, |change| change.state)
        };
        if state.deleted {
            continue;
        }
        let acts = [
            if state.active { Act::Deactivate } else { Act::Activate },
            if state.active { Act::Deactivate } else { Act::Activate },
            if state.wide { Act::Narrow } else { Act::Widen },
        ];
        let act = if dice.below(60) == 0 { Act::Delete } else { dice.one_of(&acts) };
        carry_out(act, &keys[at], caller, ports, &dice, story);
    }
}

fn ask(caller: &str, ports: &[u16], keys: &[Made], number: usize, stop: &AtomicBool) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut turn = number;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let (node, key) = (turn % ports.len(), (turn / ports.len()) % keys.len());
        let (begun, from) = (Instant::now(), SystemClock.now().as_millis());
        if let Some(verdict) = verdict(ports[node], caller, &keys[key].secret) {
            all.push(Seen { begun, ended: Instant::now(), at: (from, SystemClock.now().as_millis()), node, key, verdict });
        }
        // Changes need the processor as well, or there is nothing to be wrong about.
        std::thread::park_timeout(Duration::from_millis(3));
    }
    all
}

/// What happens to the database itself: it is killed and started again, and once the standby takes its place.
async fn database_trouble(cluster: &Cluster, pair: &mut Pair, seed: u64, lasting: Duration) -> String {
    let dice = Dice(SeededEntropy::new(seed));
    let (begun, mut told) = (Instant::now(), String::new());
    let mut round = 0;
    // Even a short history has one of each.
    while round < 2 || begun.elapsed() < lasting {
        tokio::time::sleep(Duration::from_millis(800 + dice.below(1_200))).await;
        if round > 0 && pair.has_standby() && (round == 1 || dice.below(3) == 0) {
            write!(told, " promoted").unwrap();
            pair.promote().await;
            for node in &cluster.nodes {
                node.network.lead_to(pair.address());
            }
        } else {
            let after = dice.below(3_000);
            write!(told, " killed/{after}").unwrap();
            pair.kill_and_restart(Duration::from_millis(after)).await;
        }
        round += 1;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    told
}

/// One fault after another, until the time is over; then everything is mended.
async fn trouble(cluster: &Cluster, seed: u64, lasting: Duration) -> String {
    let dice = Dice(SeededEntropy::new(seed));
    let (begun, mut told) = (Instant::now(), String::new());
    while begun.elapsed() < lasting {
        tokio::time::sleep(Duration::from_millis(300 + dice.below(700))).await;
        let (node, millis) = (&cluster.nodes[dice.index(NODES)], 300 + dice.below(3_500));
        let kind = dice.below(4);
        write!(told, " {kind}/{millis}").unwrap();
        match kind {
            0 => {
                node.server.pause();
                tokio::time::sleep(Duration::from_millis(millis)).await;
                node.server.resume();
            }
            1 => {
                node.network.cut();
                tokio::time::sleep(Duration::from_millis(millis)).await;
                node.network.mend();
            }
            2 => cluster.end_listening().await,
            _ => {
                // Every connection breaks at once, as when the database is started again.
                for node in &cluster.nodes {
                    node.network.cut();
                    node.network.mend();
                }
            }
        }
    }
    told
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment how long they may take")]
fn told(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_goes_by_what_an_acknowledged_change_has_ended() {
    let Some(cluster) = Cluster::of(NODES).await else { return };
    println!("{}", check(&cluster, None).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_database_is_killed_and_its_standby_promoted() {
    let Some(mut pair) = Pair::start().await else { return };
    let cluster = Cluster::on(NODES, &pair.primary()).await;
    println!("{}", check(&cluster, Some(&mut pair)).await);
}

/// A history on these servers, and its judgement. Returns what was tried.
async fn check(cluster: &Cluster, pair: Option<&mut Pair>) -> String {
    let (seed, seconds) = (told("KEYFOLD_TEST_SEED", 20_261_121), told("KEYFOLD_TEST_HISTORY_SECONDS", if pair.is_some() { 4 } else { 9 }));
    let clients = usize::try_from(told("KEYFOLD_TEST_HISTORY_CLIENTS", 6)).unwrap();
    let keys: Arc<Vec<Made>> = Arc::new((0..KEYS + ENDING).map(|_| cluster.key(0)).collect());
    let stories: Arc<Vec<Mutex<Story>>> = Arc::new((0..KEYS).map(|_| Mutex::default()).collect());
    let ports: Arc<Vec<u16>> = Arc::new(cluster.nodes.iter().map(|node| node.server.port()).collect());
    for node in 0..NODES {
        for key in keys.iter() {
            let valid = || cluster.verdict(node, &key.secret).filter(|seen| seen == "valid").map(|_| ()).ok_or_else(String::new);
            eventually(Duration::from_secs(10), valid).await;
        }
    }
    let (dice, now) = (Dice(SeededEntropy::new(seed ^ 0xe4d5)), SystemClock.now().as_millis());
    let mut ends = Vec::new();
    for key in &keys[KEYS..] {
        // Not before every server can have heard of it.
        let after = 1_500 + dice.below(seconds * 1_000);
        ends.push(now + i64::try_from(after).unwrap());
        cluster.end_at(key, ends[ends.len() - 1]).await;
    }

    let asking = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..clients)
        .map(|number| {
            let (keys, ports, caller, stop) = (Arc::clone(&keys), Arc::clone(&ports), cluster.caller.clone(), Arc::clone(&asking));
            std::thread::spawn(move || ask(&caller, &ports, &keys, number, &stop))
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (keys, ports, stories, caller) = (Arc::clone(&keys), Arc::clone(&ports), Arc::clone(&stories), cluster.caller.clone());
            let (stop, stopped) = channel();
            (stop, std::thread::spawn(move || write(number, seed, &caller, &ports, &keys, &stories, &stopped)))
        })
        .collect();
    let lasting = Duration::from_secs(seconds);
    let faults = match pair {
        Some(pair) => database_trouble(cluster, pair, seed, lasting).await,
        None => trouble(cluster, seed, lasting).await,
    };
    for (stop, writer) in writers {
        drop(stop);
        writer.join().unwrap();
    }
    asking.store(true, Ordering::Relaxed);
    let seen: Vec<Seen> = askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect();
    let stories: Vec<Story> = stories.iter().map(|story| std::mem::take(&mut *story.lock().unwrap())).collect();
    let tried = judge(seed, &seen, &stories, &ends, &faults);

    // Everything is mended: every server takes every key for what was acknowledged last.
    for (key, story) in keys.iter().zip(&stories).filter(|(_, story)| story.unknown_from.is_none()) {
        let wanted = story.changes.last().map_or(State::NEW, |change| change.state).verdict();
        for node in 0..NODES {
            eventually(Duration::from_secs(15), || {
                let seen = cluster.verdict(node, &key.secret).unwrap_or_default();
                if seen == wanted { Ok(()) } else { Err(format!("node {node}, key {}: {seen} for {wanted}", key.id)) }
            })
            .await;
        }
    }
    tried
}

/// Holds every answer against what was acknowledged when. Returns what was tried.
fn judge(seed: u64, seen: &[Seen], stories: &[Story], ends: &[i64], faults: &str) -> String {
    let (mut answered, mut unavailable, mut expired, mut wrong) = (0, 0, 0, Vec::new());
    for seen in seen {
        let possible = match stories.get(seen.key) {
            _ if seen.verdict == "unavailable" => {
                unavailable += 1;
                continue;
            }
            None => {
                expired += usize::from(seen.verdict == "expired");
                possible_at_its_end(ends[seen.key - KEYS], seen).to_vec()
            }
            Some(story) if story.unknown_from.is_none_or(|from| seen.ended < from) => story.possible(seen),
            Some(_) => continue,
        };
        answered += 1;
        if !possible.contains(&seen.verdict.as_str()) {
            wrong.push(format!("key {} on node {}: {} where {possible:?} was possible", seen.key, seen.node, seen.verdict));
        }
    }
    let changes: usize = stories.iter().map(|story| story.changes.len()).sum();
    let lost = stories.iter().filter(|story| story.unknown_from.is_some()).count();
    assert!(wrong.is_empty(), "seed {seed}, {} wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    assert!(answered > 100 && changes > 8 && expired > 0, "{answered} answers, {changes} changes, {expired} expired: nothing was tried");
    format!(
        "seed {seed}: {changes} changes, {answered} answers checked, {expired} of them past an end, {unavailable} unavailable, \
         {lost} keys without an answer; faults{faults}"
    )
}
