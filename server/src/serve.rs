//! The running server: opening, listening, and an orderly end.

mod listener;
mod notify;
mod setup_link;
mod socket;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;

use keyfold_engine::{
    Clock, DatabaseUrl, Engine, EngineOptions, NewNode, OpenError, OpenRole, Pepper, PepperError, SystemClock, SystemEntropy,
};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::audit_heads;
use crate::cli::{CliError, Printer};
use crate::config::{Config, ListenAddr};
use crate::router::{app_service, verify_service};
use crate::state::AppState;
use listener::{Grpc, Http};
use socket::Socket;

/// How the server was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// By a service manager: load balancers want to be told first.
    Term,
    /// By a person at the keyboard, who does not want to wait.
    Interrupt,
}

/// Serves until asked to stop.
pub(crate) async fn run(config: Config, printer: &Printer) -> Result<(), CliError> {
    if !config.core_dumps {
        let off = forbid_core_dumps();
        off.map_err(|error| CliError::Refused(format!("core dumps cannot be switched off ({error}); set core_dumps to true to go on")))?;
    }
    let mut signals = Signals::listen()?;
    let listener = TcpListener::bind(config.addr).await.map_err(|error| cannot_listen(&config, &error))?;
    let verify_socket = match &config.verify_addr {
        Some(addr) => Some(Socket::bind(addr).await.map_err(|error| cannot_also_listen("--verify-addr", addr, &error))?),
        None => None,
    };
    let ext_authz_socket = match &config.ext_authz_addr {
        Some(addr) => Some(Socket::bind(addr).await.map_err(|error| cannot_also_listen("--ext-authz-addr", addr, &error))?),
        None => None,
    };
    let config = config.bound_to(listener.local_addr()?);
    warn_about(&config);
    let engine = open(&config, OpenRole::Serve).await?;
    engine.join(NewNode { name: config.node_name.clone(), staleness_budget: config.staleness_budget }).await?;
    engine.start_jobs();
    let heads = audit_heads::keep(engine.clone(), &config.data_dir);
    let setup = setup_link::offer(&engine, &config, printer).await?;
    let state = AppState::new(engine.clone(), config);
    let (stop_accepting, stopped) = tokio::sync::watch::channel(false);
    let limits = listener::Limits { connections: state.config.max_connections, grace: state.config.shutdown_grace };
    let mut serving = JoinSet::new();
    if let Some(socket) = verify_socket {
        tracing::info!(address = socket.address()?, "verification has a listener of its own");
        serving.spawn(listener::serve(socket, Http(verify_service(state.clone())), limits, stopped.clone()));
    }
    if let Some(socket) = ext_authz_socket {
        tracing::info!(address = socket.address()?, "external authorization for Envoy has a listener");
        serving.spawn(listener::serve(socket, Grpc(state.clone()), limits, stopped.clone()));
    }
    serving.spawn(listener::serve(Socket::Tcp(listener), Http(app_service(state.clone())), limits, stopped));
    tracing::info!(address = %state.config.public_url, version = env!("CARGO_PKG_VERSION"), "Keyfold is ready");
    notify::tell("READY=1");

    let stop = signals.next().await;
    state.drain();
    notify::tell("STOPPING=1");
    let orderly = async {
        if stop == Stop::Term {
            tracing::info!(seconds = state.config.shutdown_delay.as_secs(), "asked to stop; telling load balancers first");
            tokio::time::sleep(state.config.shutdown_delay).await;
        }
        let _ = stop_accepting.send(true);
        tracing::info!("no new connections; finishing running requests");
        let mut finished = true;
        while let Some(served) = serving.join_next().await {
            finished &= served.unwrap_or(false);
        }
        if let Some(setup) = setup {
            setup.abort();
        }
        heads.abort();
        engine.close().await;
        finished
    };
    tokio::select! {
        finished = orderly => {
            tracing::info!(all_finished = finished, "stopped");
            Ok(())
        }
        _ = signals.next() => Err(CliError::Refused("stopped at once by a second signal; running requests were cut off".to_owned())),
    }
}

/// Opens the engine. The first time, the folder and the pepper are made.
pub(crate) async fn open(config: &Config, role: OpenRole) -> Result<Engine, CliError> {
    open_by(config, role, Arc::new(SystemClock)).await
}

/// The same, by a clock of one's own.
pub(crate) async fn open_by(config: &Config, role: OpenRole, clock: Arc<dyn Clock>) -> Result<Engine, CliError> {
    make_folder(config)?;
    let existed = config.pepper_file().is_none_or(std::path::Path::exists);
    // Beside a database that is there already, a new pepper would be the wrong one.
    let may_create = match &config.database_url {
        DatabaseUrl::Sqlite(path) => !path.exists(),
        DatabaseUrl::Postgres(_) => true,
    };
    let pepper = config.pepper(may_create).map_err(|error| CliError::Refused(error.to_string()))?;
    let opened = open_with(config, role, clock, pepper).await;
    opened.map_err(|error| match (error, config.pepper_file()) {
        (OpenError::WrongPepper(_), Some(path)) if !existed => {
            // Made a moment ago, and of no use to anybody.
            let _ = std::fs::remove_file(path);
            CliError::Refused(PepperError::Missing(path.to_owned()).to_string())
        }
        (error, _) => cannot_open(config, &error),
    })
}

/// The same, with a pepper of one's own.
pub(crate) async fn open_with(config: &Config, role: OpenRole, clock: Arc<dyn Clock>, pepper: Pepper) -> Result<Engine, OpenError> {
    let options = EngineOptions {
        database: config.database_url.clone(),
        pepper,
        prefix: config.key_prefix.clone(),
        clock,
        entropy: Arc::new(SystemEntropy),
        role,
    };
    Box::pin(Engine::open(options)).await
}

/// The words for a database that cannot be opened.
pub(crate) fn cannot_open(config: &Config, error: &OpenError) -> CliError {
    CliError::Refused(format!("cannot open {}: {error}", config.database_url))
}

/// Makes the data folder if it is absent.
pub(crate) fn make_folder(config: &Config) -> Result<(), CliError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&config.data_dir);
    made.map_err(|error| CliError::Refused(format!("{}: {error}", config.data_dir.display())))
}

/// A dump would hold the pepper and every secret in flight. On Linux this also holds where dumps are piped to a collector,
/// and keeps other processes of the same user from looking into this one.
fn forbid_core_dumps() -> rustix::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, none)
}

fn cannot_listen(config: &Config, error: &std::io::Error) -> CliError {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => ". Another program uses this port; choose another with --addr",
        std::io::ErrorKind::PermissionDenied => ". Ports below 1024 need a privilege; choose another with --addr",
        std::io::ErrorKind::AddrNotAvailable => ". This machine has no such address; choose another with --addr",
        _ => "",
    };
    CliError::Refused(format!("cannot listen on {}: {error}{hint}", config.addr))
}

fn cannot_also_listen(flag: &str, addr: &ListenAddr, error: &std::io::Error) -> CliError {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(". Another program listens there; choose another with {flag}"),
        std::io::ErrorKind::NotFound => ". The folder of a socket file must be there".to_owned(),
        _ => String::new(),
    };
    CliError::Refused(format!("cannot listen on {addr}: {error}{hint}"))
}

fn warn_about(config: &Config) {
    for (setting, addr) in [("verify_addr", &config.verify_addr), ("ext_authz_addr", &config.ext_authz_addr)] {
        if let Some(ListenAddr::Tcp(addr)) = addr
            && !addr.ip().is_loopback()
        {
            tracing::warn!(listening = %addr, "{setting} is open to other machines without encryption: keys cross that network in the clear");
        }
    }
    if config.ext_authz_addr.is_some() && config.trusted_proxies.is_empty() {
        tracing::warn!("ext_authz_addr answers trusted proxies only, and there are none: every request will be refused");
    }
    if config.is_insecure() {
        tracing::warn!(address = %config.public_url, "serving over plain HTTP: passwords and keys cross the network in the clear");
    } else if config.public_url.is_loopback() && !config.addr.ip().is_loopback() {
        tracing::warn!(listening = %config.addr, address = %config.public_url, "open to other machines, but public_url works on this one alone; set public_url");
    }
}

/// The signals that ask for an end.
struct Signals {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, CliError> {
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.term.recv() => Stop::Term,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}
