//! All SQL. One file per family of tables; `db` has the two engines behind one face.
//!
//! Every function takes a connection, and the tenant's id first where there is one. None decides anything: that is for
//! the domain and the services.

pub(crate) mod audit;
pub(crate) mod bulk;
pub(crate) mod changes;
pub(crate) mod client_settings;
pub(crate) mod copy;
pub(crate) mod db;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod leases;
pub(crate) mod left_keys;
pub(crate) mod like;
pub(crate) mod limits;
pub(crate) mod listing;
pub(crate) mod members;
pub(crate) mod meta;
pub(crate) mod migrate;
pub(crate) mod names;
pub(crate) mod nodes;
pub(crate) mod outages;
pub(crate) mod password_links;
pub(crate) mod place;
pub(crate) mod policies;
pub(crate) mod resources;
pub(crate) mod routes;
pub(crate) mod scopes;
pub(crate) mod secrets;
pub(crate) mod sessions;
pub(crate) mod sweep;
pub(crate) mod transfer;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod workspaces;
mod writer;
