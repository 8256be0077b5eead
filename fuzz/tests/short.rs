//! Every body with its seeds, and with thousands of texts that are made of them: as far as a fuzzer gets in a second. `make
//! soak` sets `PROPTEST_CASES` and goes further; `scripts/fuzz.sh` lets a real fuzzer look.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use keyfold_fuzz::{authorization, cursor, range, template, token};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

/// So many times proptest's own number: a case takes microseconds.
const TIMES: u32 = 40;

/// What is done to a text: how, where, with what.
type Edit = (u8, Index, Index, u8);

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{} has too few seeds", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A text that is not empty, after an edit. Parts of other seeds get into it, so that signs come where they mean something.
fn edited(mut text: Vec<u8>, (how, from, to, byte): &Edit, seeds: &[Vec<u8>]) -> Vec<u8> {
    let (first, second) = (from.index(text.len() + 1), to.index(text.len() + 1));
    let (start, end) = (first.min(second), first.max(second));
    match how {
        0 => text.insert(start, *byte),
        1 if start < text.len() => text[start] = *byte,
        2 if start < text.len() => text[start] ^= 1 << (byte % 8),
        3 => drop(text.drain(start..end)),
        4 => {
            let again = text[start..end].to_vec();
            text.splice(end..end, again);
        }
        5 => {
            let other = &seeds[usize::from(*byte) % seeds.len()];
            let (a, b) = (from.index(other.len() + 1), to.index(other.len() + 1));
            text.splice(start..end, other[a.min(b)..a.max(b)].to_vec());
        }
        6 => text.truncate(end),
        _ => {
            let last = text.len() - 1;
            text.swap(start.min(last), end.min(last));
        }
    }
    text
}

fn texts(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    // Bytes that mean something come up more often than others.
    let byte = prop_oneof![3 => prop::sample::select(b"/%.*{}[]?=&;\\_- \t\n:\",0129afAFzZ\0".to_vec()), 1 => any::<u8>()];
    let edit = (0u8..8, any::<Index>(), any::<Index>(), byte);
    let noise = vec(any::<u8>(), 0..80);
    prop_oneof![
        19 => (any::<Index>(), vec(edit, 0..6)).prop_map(move |(which, edits)| {
            edits.iter().fold(which.get(&seeds).clone(), |text, edit| if text.is_empty() { text } else { edited(text, edit, &seeds) })
        }),
        1 => noise,
    ]
}

fn try_all(name: &str, check: fn(&[u8])) {
    let seeds = seeds(name);
    for seed in &seeds {
        check(seed);
    }
    let default = ProptestConfig::default();
    let config = ProptestConfig { cases: default.cases.saturating_mul(TIMES), failure_persistence: None, ..default };
    let outcome = TestRunner::new(config).run(&texts(seeds), |text| {
        catch_unwind(AssertUnwindSafe(|| check(&text))).map_err(|_| TestCaseError::fail(format!("{:?}", String::from_utf8_lossy(&text))))
    });
    if let Err(error) = outcome {
        panic!("{name}: {error}");
    }
}

#[test]
fn no_text_is_a_secret_that_a_plain_reading_takes_for_none() {
    try_all("token", token::check);
}

#[test]
fn no_header_holds_another_token_than_a_plain_reading_finds() {
    try_all("authorization", authorization::check);
}

#[test]
fn no_template_fits_a_path_that_trying_everything_does_not_fit() {
    try_all("template", template::check);
}

#[test]
fn no_range_holds_an_address_whose_bits_are_others() {
    try_all("range", range::check);
}

#[test]
fn no_cursor_leads_where_its_text_does_not_say() {
    try_all("cursor", cursor::check);
}
