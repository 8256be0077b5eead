//! How this server is configured: one typed [`Config`] out of defaults, a file, the environment and flags, in that order.
//! Everything is checked before anything is opened. No other room reads the environment.

mod listen_addr;
mod public_url;
mod reference;
mod settings;
mod sources;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use keyfold_domain::token::Prefix;
use keyfold_engine::{DatabaseUrl, Pepper, PepperError, SystemEntropy};
use zeroize::Zeroizing;

pub(crate) use listen_addr::ListenAddr;
pub(crate) use public_url::PublicUrl;
pub(crate) use reference::reference;
pub use settings::Flags;
pub use sources::{ConfigError, Source};
pub(crate) use sources::{Effective, notify_socket};

use crate::traces::Wanted;
use settings::PEPPER;
use sources::Values;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// This level, but nothing finer than warnings: for commands, whose own words are the message.
    pub(crate) const fn at_most_warnings(self) -> Self {
        match self {
            Self::Error => Self::Error,
            _ => Self::Warn,
        }
    }

    /// The name in the configuration.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Where the pepper comes from. It is never in the database, so that a copy of that verifies nothing.
#[derive(Clone)]
enum PepperSource {
    File(PathBuf),
    /// 64 hexadecimal digits from the environment.
    Given(Zeroizing<[u8; 32]>),
}

/// A complete and checked configuration.
#[derive(Clone)]
pub struct Config {
    /// Where to listen.
    pub addr: SocketAddr,
    /// Where the data plane listens by itself, besides.
    pub(crate) verify_addr: Option<ListenAddr>,
    /// Where Envoy is answered over gRPC.
    pub(crate) ext_authz_addr: Option<ListenAddr>,
    /// Tell figures on `addr` as well.
    pub(crate) public_metrics: bool,
    /// The folder for everything that is kept.
    pub data_dir: PathBuf,
    /// Where the data is.
    pub database_url: DatabaseUrl,
    /// The address under which browsers see this server.
    pub(crate) public_url: PublicUrl,
    pepper: PepperSource,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Serve browsers on other machines over plain HTTP.
    pub(crate) allow_insecure_http: bool,
    /// What every key of this installation starts with.
    pub key_prefix: Prefix,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: LogLevel,
    /// Between SIGTERM and the end of accepting, so that load balancers notice.
    pub(crate) shutdown_delay: Duration,
    /// For running requests after the end of accepting.
    pub(crate) shutdown_grace: Duration,
    /// For each actor; `None` for no limit.
    pub(crate) management_requests_per_minute: Option<NonZeroU32>,
    pub(crate) max_connections: usize,
    /// What this server is called among others.
    pub(crate) node_name: String,
    /// For how long it says yes without news of changes.
    pub(crate) staleness_budget: Duration,
    /// Let a crash write the process's memory to disk.
    pub(crate) core_dumps: bool,
    /// What OpenTelemetry's own variables ask for.
    pub(crate) traces: Wanted,
    effective: Vec<Effective>,
}

impl Config {
    /// The configuration of this process: defaults, then `--config` or `KEYFOLD_CONFIG` or `./keyfold.toml`, then `KEYFOLD_*`,
    /// then flags. The error names the source, the setting and what to do.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::from_values(&Values::gather(flags, sources::environment()?)?)
    }

    /// The configuration that these settings give over the defaults, whatever the file and the environment say.
    pub fn of(settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::from_values(&Values::gather(&Flags::of(settings)?, Vec::new())?)
    }

    fn from_values(values: &Values) -> Result<Self, ConfigError> {
        let addr: SocketAddr = values.parse("addr", "an address and port, like 127.0.0.1:3000")?;
        let data_dir = PathBuf::from(values.text("data_dir"));
        let database_url = match values.given("database_url") {
            Some(text) => text.parse(),
            None => format!("sqlite:{}", data_dir.join("keyfold.db").display()).parse(),
        };
        let database_url = database_url.map_err(|error| values.refuse("database_url", format!("{error}")))?;
        let public_url = match values.given("public_url") {
            Some(text) => PublicUrl::parse(text).map_err(|why| values.refuse("public_url", why))?,
            None => PublicUrl::of_address(addr),
        };
        let config = Self {
            addr,
            verify_addr: listen_addr(values, "verify_addr")?,
            ext_authz_addr: listen_addr(values, "ext_authz_addr")?,
            public_metrics: values.parse("public_metrics", "true or false")?,
            database_url,
            public_url,
            pepper: pepper_source(values, &data_dir)?,
            trusted_proxies: networks(values)?,
            allow_insecure_http: values.parse("allow_insecure_http", "true or false")?,
            key_prefix: values.parse("key_prefix", "2 to 12 lower-case letters and digits, starting with a letter")?,
            log_format: values.choice("log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            log_level: values.choice("log_level", &LogLevel::ALL.map(|level| (level.as_str(), level)))?,
            shutdown_delay: Duration::from_secs(values.whole("shutdown_delay_seconds", 0, 300)?),
            shutdown_grace: Duration::from_secs(values.whole("shutdown_grace_seconds", 0, 3600)?),
            management_requests_per_minute: u32::try_from(values.whole("management_requests_per_minute", 0, 1_000_000)?)
                .ok()
                .and_then(NonZeroU32::new),
            max_connections: usize::try_from(values.whole("max_connections", 1, 1_000_000)?).unwrap_or(usize::MAX),
            node_name: node_name(values)?,
            staleness_budget: Duration::from_secs(values.whole("staleness_budget_seconds", 1, 300)?),
            core_dumps: values.parse("core_dumps", "true or false")?,
            traces: Wanted::read(values.of_opentelemetry())?,
            data_dir,
            effective: Vec::new(),
        };
        if config.is_insecure() && !config.allow_insecure_http {
            return Err(values.refuse("public_url", INSECURE));
        }
        Ok(Self { effective: values.effective(&config), ..config })
    }

    /// The pepper, made on the first start where that is allowed.
    pub(crate) fn pepper(&self, allow_create: bool) -> Result<Pepper, PepperError> {
        match &self.pepper {
            PepperSource::File(path) => Pepper::load_or_create(path, allow_create.then_some(&SystemEntropy)),
            PepperSource::Given(bytes) => Ok(Pepper::from_bytes(**bytes)),
        }
    }

    /// Where the pepper is kept; `None` if the environment gives it.
    pub(crate) fn pepper_file(&self) -> Option<&std::path::Path> {
        match &self.pepper {
            PepperSource::File(path) => Some(path),
            PepperSource::Given(_) => None,
        }
    }

    /// The file that holds the one-time set-up token until set-up is done.
    pub(crate) fn setup_token_file(&self) -> PathBuf {
        self.data_dir.join("setup-token")
    }

    /// Do browsers reach this server over plain HTTP from other machines?
    pub(crate) fn is_insecure(&self) -> bool {
        !self.public_url.is_https() && !self.public_url.is_loopback()
    }

    /// May cookies be marked as secure? Over HTTPS, and on loopback unless plain HTTP is wanted for other names too.
    pub(crate) fn secure_cookies(&self) -> bool {
        self.public_url.is_https() || (self.public_url.is_loopback() && !self.allow_insecure_http)
    }

    /// The same configuration, with the port that the system chose where port 0 was asked for.
    pub(crate) fn bound_to(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        let defaulted = self.effective.iter().any(|setting| setting.key == "public_url" && setting.source == Source::Default);
        if defaulted {
            self.public_url = PublicUrl::of_address(addr);
        }
        self
    }

    /// Every setting with its value and where that came from; secrets left out.
    pub(crate) fn effective(&self) -> &[Effective] {
        &self.effective
    }
}

const INSECURE: &str = "this is plain HTTP to other machines: passwords and keys would cross the network in the clear. Put HTTPS in front and \
                        give its https:// address, or set allow_insecure_http to true if you accept that";

fn pepper_source(values: &Values, data_dir: &std::path::Path) -> Result<PepperSource, ConfigError> {
    match (values.given(PEPPER), values.given("pepper_file")) {
        (Some(_), Some(_)) => Err(values.refuse("pepper_file", "the pepper is given by KEYFOLD_PEPPER as well; give one of the two")),
        (Some(digits), None) => {
            let bytes = hex32(digits).ok_or_else(|| values.refuse(PEPPER, "must be 64 hexadecimal digits (32 random bytes)"))?;
            Ok(PepperSource::Given(bytes))
        }
        (None, Some(path)) => Ok(PepperSource::File(path.into())),
        (None, None) => Ok(PepperSource::File(data_dir.join("pepper.key"))),
    }
}

fn listen_addr(values: &Values, key: &'static str) -> Result<Option<ListenAddr>, ConfigError> {
    let expected = "an address and port, like 127.0.0.1:3001, or unix: and the whole path of a file";
    values.given(key).map(|_| values.parse(key, expected)).transpose()
}

fn node_name(values: &Values) -> Result<String, ConfigError> {
    let Some(name) = values.given("node_name") else {
        return Ok(rustix::system::uname().nodename().to_string_lossy().into_owned());
    };
    match keyfold_domain::name::optional_name("node_name", name) {
        Ok(name) if !name.is_empty() => Ok(name),
        _ => Err(values.refuse("node_name", "must be a name of 1 to 100 characters, none of them invisible")),
    }
}

fn hex32(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn networks(values: &Values) -> Result<Vec<IpNet>, ConfigError> {
    let list = values.text("trusted_proxies").split(',').map(str::trim).filter(|entry| !entry.is_empty());
    list.map(|entry| entry.parse().or_else(|_| entry.parse().map(|ip: std::net::IpAddr| IpNet::from(ip))))
        .collect::<Result<_, _>>()
        .map_err(|_| values.refuse("trusted_proxies", "must be addresses or networks like 10.0.0.0/8, separated by commas"))
}

#[cfg(test)]
mod tests;
