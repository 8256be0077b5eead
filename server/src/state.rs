//! What every handler can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRef;
use keyfold_app::functions::context::SessionCookies;
use keyfold_engine::{Engine, RequestLimits};
use leptos::config::{Env, LeptosOptions};

use crate::auth::session_cookies;
use crate::config::Config;
use crate::metrics::Metrics;

/// The use cases, the configuration and what follows from it. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The use cases.
    pub engine: Engine,
    /// How this server was configured.
    pub config: Arc<Config>,
    /// What the page renderer wants to know.
    pub leptos: LeptosOptions,
    /// How session cookies are named and set here.
    pub cookies: SessionCookies,
    /// How often one actor may call the management API; `None` for no limit.
    pub(crate) request_limits: Option<Arc<RequestLimits>>,
    /// What is counted of requests and verdicts.
    pub(crate) metrics: Arc<Metrics>,
    draining: Arc<AtomicBool>,
}

impl AppState {
    /// The state of a server with this engine and configuration.
    pub fn new(engine: Engine, config: Config) -> Self {
        let leptos = LeptosOptions::builder().output_name("keyfold").site_addr(config.addr).env(Env::PROD).build();
        let cookies = session_cookies(&config);
        let request_limits = config.management_requests_per_minute.map(|limit| Arc::new(engine.request_limits(limit)));
        Self { engine, config: Arc::new(config), leptos, cookies, request_limits, metrics: Arc::default(), draining: Arc::default() }
    }

    /// From now on the server tells load balancers to send nothing more.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Is the server about to stop?
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

impl FromRef<AppState> for Engine {
    fn from_ref(state: &AppState) -> Self {
        state.engine.clone()
    }
}

impl FromRef<AppState> for Arc<Config> {
    fn from_ref(state: &AppState) -> Self {
        Arc::clone(&state.config)
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.leptos.clone()
    }
}

impl FromRef<AppState> for SessionCookies {
    fn from_ref(state: &AppState) -> Self {
        state.cookies
    }
}
