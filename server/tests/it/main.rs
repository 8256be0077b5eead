//! The whole server from the outside: in process over the real router and data plane, and as the real program. SQLite
//! everywhere; PostgreSQL as well where `TEST_POSTGRES_URL` names a server.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod access;
mod bad_input;
mod command_line;
mod connections;
mod cross_site;
mod headers;
mod keys;
mod openapi;
mod outages;
mod pages;
mod resources;
mod rotation;
mod scopes;
mod secrecy;
mod sessions;
mod support;
mod usage;
mod verification;
