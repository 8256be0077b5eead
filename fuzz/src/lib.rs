//! What texts from outside may never do, whatever they are: one module a text, with a function `check` that panics where its
//! reader does not agree with a plain reading of the same text, or does not read again what it has written.
//!
//! `fuzz_targets` hands them to cargo-fuzz, `tests/short.rs` to proptest. Both begin with the files in `seeds`. Where the tests
//! of a room already have a plain reading, it is that one: its file is part of this crate as well.
#![warn(missing_docs)]
#![cfg_attr(
    test,
    expect(
        clippy::duplicate_mod,
        reason = "clippy compiles this as a test, and then the tests of a file that is shared load its plain reading as well"
    )
)]
#![expect(clippy::missing_panics_doc, reason = "to panic is what each of them is for")]

pub mod authorization;
pub mod cursor;
pub mod range;
pub mod template;
pub mod token;
