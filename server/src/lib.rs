//! Everything of Keyfold that knows HTTP or the operating system: configuration, the command line, the listener, the
//! router with its layers, the REST API, and the shapes of other products' clients. What may be done with keys is decided in `keyfold-domain`, carried out in
//! `keyfold-engine` and shown by `keyfold-app`; here requests are taken in, mapped to one call, and answered.
//!
//! The binary `keyfold` is a thin shell around [`cli::run`]. Integration tests build the same service in process with
//! [`router::app_service`].
#![warn(missing_docs)]

pub(crate) mod audit_heads;
pub mod auth;
pub mod cli;
pub(crate) mod compat;
pub mod config;
pub(crate) mod dataplane;
pub mod envoy;
pub(crate) mod metrics;
pub(crate) mod pages;
pub(crate) mod problem;
pub(crate) mod rate_limits;
pub mod rest;
pub mod router;
pub(crate) mod serve;
pub(crate) mod site;
pub mod state;
pub(crate) mod telemetry;
pub(crate) mod traces;
