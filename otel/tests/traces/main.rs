//! Spans as a collector receives them.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod collector;
mod delivery;
mod program;
mod requests;
