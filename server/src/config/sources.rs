//! Where settings come from, and how the sources are laid over one another.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::settings::{Flags, PEPPER, SETTINGS, find};
use super::{Config, PepperSource};

/// What every environment variable of ours starts with.
const ENVIRONMENT: &str = "KEYFOLD_";
/// What its standard calls the settings of traces, in every program.
const OPENTELEMETRY: &str = "OTEL_";
/// Names the file, like `--config`.
const FILE_VARIABLE: &str = "KEYFOLD_CONFIG";
/// Read if it is there and no other file is named.
const FILE: &str = "keyfold.toml";

/// Where a setting came from, weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// A setting that cannot be accepted: where, which, and what to do. Never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}.")]
pub struct ConfigError {
    /// Where it came from.
    pub given_by: Source,
    place: String,
    message: String,
}

impl ConfigError {
    fn new(source: Source, key: &str, message: impl Into<String>) -> Self {
        let place = match &source {
            Source::Default => key.to_owned(),
            Source::File(path) => format!("{}, {key}", path.display()),
            Source::Environment => format!("{ENVIRONMENT}{}", key.to_ascii_uppercase()),
            Source::Flag => format!("--{}", key.replace('_', "-")),
        };
        Self { given_by: source, place, message: message.into() }
    }

    /// No setting is called so.
    pub(super) fn unknown(source: Source, key: &str) -> Self {
        let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        let message = format!("there is no such setting. The settings are {}", known.join(", "));
        Self::new(source, &key.to_ascii_lowercase(), message)
    }

    /// A variable of another's naming.
    #[cfg(feature = "otel")]
    pub(crate) fn variable(name: &str, message: String) -> Self {
        Self { given_by: Source::Environment, place: name.to_owned(), message }
    }

    fn file(path: &Path, message: impl fmt::Display) -> Self {
        Self { given_by: Source::File(path.to_owned()), place: path.display().to_string(), message: message.to_string() }
    }
}

/// A setting as it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effective {
    /// Its name in the file.
    pub(crate) key: &'static str,
    /// Its value for people; passwords left out.
    pub(crate) value: String,
    /// Where it came from.
    pub(crate) source: Source,
}

/// The texts of all settings, each from its strongest source.
pub(super) struct Values {
    given: BTreeMap<&'static str, (String, Source)>,
    opentelemetry: Vec<(String, String)>,
}

impl Values {
    /// Lays file, environment and flags over one another. Unknown names are refused, whatever their source.
    pub(super) fn gather(flags: &Flags, environment: Vec<(String, String)>) -> Result<Self, ConfigError> {
        let mut values = Self { given: BTreeMap::new(), opentelemetry: Vec::new() };
        let named = environment.iter().find(|(name, path)| name == FILE_VARIABLE && !path.is_empty()).map(|(_, path)| PathBuf::from(path));
        // Without an environment there is no process around either: then only flags count.
        if let Some(path) = flags.config.clone().or(named) {
            values.read_file(&path)?;
        } else if !environment.is_empty() && Path::new(FILE).is_file() {
            values.read_file(Path::new(FILE))?;
        }
        values.opentelemetry.extend(environment.iter().filter(|(name, _)| name.starts_with(OPENTELEMETRY)).cloned());
        for (name, text) in environment.into_iter().filter(|(name, _)| name.starts_with(ENVIRONMENT) && name != FILE_VARIABLE) {
            let key = name.trim_start_matches(ENVIRONMENT).to_ascii_lowercase();
            values.set_variable(&key, text)?;
        }
        for (key, text) in flags.given() {
            values.given.insert(key, (text.to_owned(), Source::Flag));
        }
        Ok(values)
    }

    fn set_variable(&mut self, key: &str, text: String) -> Result<(), ConfigError> {
        let key = match find(key) {
            Some(setting) => setting.key,
            None if key == PEPPER => PEPPER,
            None => return Err(ConfigError::unknown(Source::Environment, key)),
        };
        // Container tools pass variables that are not set as empty ones.
        if !text.is_empty() {
            self.given.insert(key, (text, Source::Environment));
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::file(path, format!("cannot be read: {error}")))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            // Only the place: the message would quote the line, and with it a password.
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            ConfigError::file(path, format!("line {line} is not valid TOML"))
        })?;
        for (key, value) in table {
            let source = Source::File(path.to_owned());
            let setting = find(&key).ok_or_else(|| ConfigError::unknown(source.clone(), &key))?;
            let text = plain(&value)
                .ok_or_else(|| ConfigError::new(source.clone(), &key, "must be a text, a number, true, false or a list of texts"))?;
            self.given.insert(setting.key, (text, source));
        }
        Ok(())
    }

    /// The environment variables that OpenTelemetry has named.
    pub(super) fn of_opentelemetry(&self) -> &[(String, String)] {
        &self.opentelemetry
    }

    /// The text that some source gives.
    pub(super) fn given(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(|(text, _)| text.as_str())
    }

    /// The text that holds, given or default.
    pub(super) fn text(&self, key: &str) -> &str {
        self.given(key).unwrap_or_else(|| find(key).map_or("", |setting| setting.default))
    }

    fn source(&self, key: &str) -> Source {
        self.given.get(key).map_or(Source::Default, |(_, source)| source.clone())
    }

    /// A refusal of what was given for this setting.
    pub(super) fn refuse(&self, key: &str, message: impl Into<String>) -> ConfigError {
        ConfigError::new(self.source(key), key, message)
    }

    /// The value, of a type that reads itself; `shape` says what is expected.
    pub(super) fn parse<T: FromStr>(&self, key: &str, shape: &str) -> Result<T, ConfigError> {
        self.text(key).trim().parse().map_err(|_| self.refuse(key, format!("must be {shape}")))
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, key: &str, least: u64, most: u64) -> Result<u64, ConfigError> {
        let shape = format!("a whole number from {least} to {most}");
        let number = self.parse(key, &shape)?;
        if (least..=most).contains(&number) { Ok(number) } else { Err(self.refuse(key, format!("must be {shape}"))) }
    }

    /// One of several names.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let found = choices.iter().find(|(name, _)| *name == self.text(key)).map(|(_, choice)| *choice);
        found.ok_or_else(|| self.refuse(key, format!("must be one of {}", names.join(", "))))
    }

    /// Every setting as it holds in the finished configuration.
    pub(super) fn effective(&self, config: &Config) -> Vec<Effective> {
        let value = |key: &'static str| match key {
            "database_url" => config.database_url.to_string(),
            "public_url" => config.public_url.to_string(),
            "pepper_file" => match &config.pepper {
                PepperSource::File(path) => path.display().to_string(),
                PepperSource::Given(_) => "given by KEYFOLD_PEPPER".to_owned(),
            },
            "node_name" => config.node_name.clone(),
            _ => self.text(key).to_owned(),
        };
        SETTINGS.iter().map(|setting| Effective { key: setting.key, value: value(setting.key), source: self.source(setting.key) }).collect()
    }
}

/// A value of the file as the text that a flag would give.
fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(choice) => Some(choice.to_string()),
        toml::Value::Array(list) => list.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>().map(|texts| texts.join(",")),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// The process's environment. A variable of ours that is not text is refused; others are none of our business.
#[expect(clippy::disallowed_methods, reason = "the one place where settings are read from the environment")]
pub(super) fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let mut environment = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => environment.push((name, value)),
            Err(_) if name.starts_with(ENVIRONMENT) => {
                let key = name.trim_start_matches(ENVIRONMENT).to_ascii_lowercase();
                return Err(ConfigError::new(Source::Environment, &key, "must be valid UTF-8"));
            }
            Err(_) => {}
        }
    }
    Ok(environment)
}

/// Where a service manager wants to hear that the server is ready, if it does.
#[expect(clippy::disallowed_methods, reason = "set by the service manager, not by people")]
pub(crate) fn notify_socket() -> Option<OsString> {
    std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())
}
