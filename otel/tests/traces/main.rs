//! Spans as a collector receives them.

mod collector;
mod delivery;
mod program;
mod requests;
