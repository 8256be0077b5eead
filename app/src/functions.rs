//! Server functions: what the pages ask of the server. One file per noun, mirroring `engine::service`. Each is a public
//! HTTP endpoint under `/_app`, POST only; it extracts, makes one call and replies.

pub mod account;
pub mod all_keys;
pub mod audit;
pub mod bulk;
pub mod codec;
pub mod context;
pub mod fault;
pub mod find;
pub mod invitations;
pub mod key_changes;
pub mod key_filters;
pub mod key_limits;
pub mod key_test;
pub mod key_use;
pub mod keys;
pub mod members;
pub mod nodes;
pub mod one_time_link;
pub mod password_input;
pub mod policies;
pub mod preferences;
pub(crate) mod reach;
pub mod resources;
pub mod routes;
pub mod scopes;
pub mod sessions;
pub mod setup;
pub mod users;
pub mod workspaces;
