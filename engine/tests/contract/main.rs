//! The store contract: the same use cases on a real SQLite file and, where `TEST_POSTGRES_URL` names a server, on
//! PostgreSQL. `make test` always provides one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod account;
mod audit;
mod audit_log;
mod audit_tampering;
mod backups;
mod bulk;
mod explain;
mod faults;
mod invitations;
mod keys;
mod left_keys;
mod limits;
mod lists;
mod members;
mod model;
mod moving;
mod nodes;
mod other_clients;
mod outages;
mod people;
mod peppers;
mod policies;
mod resources;
mod rotation;
mod routes;
mod scopes;
mod search;
mod shared_limits;
mod starts;
mod support;
mod sweep;
mod upgrade;
mod usage;
mod users;
mod verify;
mod workspace_end;
