//! Keyfold's use cases and storage: the services that people, scripts and the command line act through, and all SQL.
//!
//! It knows nothing of HTTP, cookies or Leptos. Every service method takes who is asking first, asks the domain's policy
//! before anything is read out, and makes each change and its audit event one transaction.
#![warn(missing_docs)]

mod backup;
mod changes;
mod clock;
mod error;
mod following;
mod keyset;
mod limits;
mod loading;
mod mac;
mod moving;
mod open;
mod openapi;
mod password;
mod pepper_check;
mod presence;
mod request_limits;
mod secrets;
mod service;
mod sharing;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use backup::{
    BackupError, BackupFacts, BackupReport, RestoreOptions, RestoreReport, Revived, Stopped, backup, inspect_backup, restore,
};
pub use clock::{Clock, Entropy, SystemClock, SystemEntropy};
pub use error::Error;
pub use keyfold_domain::audit::{BrokenLink, ChainReport};
pub use keyset::{Client, KeyRecord, WorkspaceRoutes};
pub use mac::{Pepper, PepperError};
pub use moving::{MoveError, MoveOptions, MoveProgress, MoveReport, MovedTable, move_instance};
pub use open::{Engine, EngineOptions, OpenError, OpenRole, Readiness};
pub use password::{MAX_CHARS as MAX_PASSWORD_CHARS, MIN_CHARS as MIN_PASSWORD_CHARS};
pub use presence::NewNode;
pub use request_limits::{Allowance, RequestLimits};
pub use secrets::{InvitationToken, Password, PasswordLinkToken, SessionToken, SetupToken};
pub use service::account::{Account, NewPassword};
pub use service::audit::Audit;
pub use service::audit_log::Export;
pub use service::demo::{Demo, DemoKey};
pub use service::figures::Figures;
pub use service::invitations::{Invitations, IssuedInvitation, Joining};
pub use service::keys::Keys;
pub use service::left_keys::LeftKeyQueue;
pub use service::members::Members;
pub use service::nodes::{ACCOUNTED_FOR, Nodes};
pub use service::password_links::{IssuedPasswordLink, PasswordLinks};
pub use service::peppers::{KeyUnderOld, OldPepper, PepperStatus, Peppers, Retired};
pub use service::policies::Policies;
pub use service::resources::{DescribedResource, Resources};
pub use service::routes::{RouteQuestion, Routes};
pub use service::scopes::Scopes;
pub use service::sessions::{IssuedSession, Sessions, SignIn};
pub use service::setup::{SetUp, Setup};
pub use service::sweep::Swept;
pub use service::users::{NewUser, Users};
pub use service::verify::{Answer, ForwardRequest, Forwarded, MAX_BATCH, Passage, Verifier, VerifyRequest};
pub use service::workspaces::Workspaces;
pub use store::client_settings::ClientSettings;
pub use store::db::{DatabaseUrl, InvalidDatabaseUrl};
