//! The whole server from the outside: in process over the real router and data plane, and as the real program. SQLite
//! everywhere; PostgreSQL as well where `TEST_POSTGRES_URL` names a server.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod access;
mod account;
mod api;
mod audit;
mod backups;
mod bad_input;
mod batches;
mod cluster;
mod command_line;
mod compat_docsgpt;
mod compat_h2ogpte;
mod connections;
mod cross_site;
mod explanations;
mod find;
mod forward_auth;
mod headers;
mod history;
mod invitations;
mod keys;
mod limits;
mod members;
mod nodes;
mod openapi;
mod outages;
mod pages;
mod peppers;
mod policy;
mod preferences;
mod proxies;
mod resources;
mod rotation;
mod routes;
mod scopes;
mod secrecy;
mod sessions;
mod support;
mod traps;
mod usage;
mod users;
mod verification;
