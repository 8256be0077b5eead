//! What an API key is and what may be done with it.
//!
//! This crate holds the rules that are true in the browser and on the server alike: identifiers, the secret's format,
//! scopes, the life of a key, the verdict on a presented key, who may do what, and the one error that may leave the
//! building. It is pure: no I/O, no clock, no source of randomness of its own, and it compiles to WebAssembly.
#![warn(missing_docs)]

pub mod addresses;
pub mod audit;
pub mod base62;
pub mod bulk;
pub mod catalogue;
pub mod ids;
pub mod key;
pub mod limits;
pub mod member;
pub mod name;
pub mod node;
pub mod policy;
pub mod policy_limits;
pub mod problem;
pub mod resource;
pub mod route;
pub mod scope;
pub mod secret;
pub mod session;
pub mod time;
pub mod token;
pub mod usage;
pub mod user;
pub mod user_agent;
pub mod verdict;
pub mod workspace;
