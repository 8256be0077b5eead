//! The one list of settings: what each is called in the file, in the environment and on the command line.

use std::path::PathBuf;

use super::sources::ConfigError;

/// The setting that only the environment may hold, because files are copied and command lines are seen by everybody.
pub(super) const PEPPER: &str = "pepper";

/// One setting.
pub(crate) struct Setting {
    /// Its name in the file.
    pub(crate) key: &'static str,
    /// Its default, as text; empty where it follows from others.
    pub(crate) default: &'static str,
    /// Its default for people, where that is not plain text.
    pub(crate) default_shown: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
}

impl Setting {
    /// Its name in the environment.
    pub(crate) fn variable(&self) -> String {
        format!("KEYFOLD_{}", self.key.to_ascii_uppercase())
    }

    /// Its name on the command line.
    pub(crate) fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }
}

macro_rules! settings {
    ($($key:ident $hint:literal $default:literal $shown:literal $(#[$attribute:meta])* $about:literal;)*) => {
        /// What the command line says about the configuration; checked together with the other sources.
        #[derive(Default, clap::Args)]
        #[command(next_help_heading = "Configuration")]
        pub struct Flags {
            /// Read settings from this file instead of ./keyfold.toml
            #[arg(long, global = true, value_name = "FILE")]
            pub(super) config: Option<PathBuf>,
            $(
                #[arg(long, global = true, hide_short_help = true, value_name = $hint, help = $about)]
                $(#[$attribute])*
                $key: Option<String>,
            )*
        }

        /// Every setting, in the order in which they are explained.
        pub(crate) const SETTINGS: &[Setting] = &[
            $(Setting { key: stringify!($key), default: $default, default_shown: $shown, about: $about },)*
        ];

        impl Flags {
            /// The settings that are given, with their texts.
            pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
                [$((stringify!($key), self.$key.as_deref()),)*].into_iter().filter_map(|(key, text)| text.map(|text| (key, text)))
            }

            /// Flags that say this.
            pub(super) fn of(settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
                let mut flags = Self::default();
                for (key, text) in settings {
                    match *key {
                        $(stringify!($key) => flags.$key = Some((*text).to_owned()),)*
                        _ => return Err(ConfigError::unknown(super::Source::Flag, key)),
                    }
                }
                Ok(flags)
            }
        }
    };
}

settings! {
    addr "ADDRESS:PORT" "127.0.0.1:3000" "`127.0.0.1:3000`"
        "Where to listen. Port 0 lets the system choose";
    verify_addr "ADDRESS" "" "none"
        "Where verification, its health checks and /metrics are answered besides, and nothing else is: an address and port, or unix: and the path of a file. They stay on addr as well";
    ext_authz_addr "ADDRESS" "" "none"
        "Where Envoy's external authorization is answered over gRPC, to trusted proxies only: an address and port, or unix: and the path of a file";
    public_metrics "BOOL" "false" "`false`" #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
        "Answer /metrics on addr as well, to everybody who reaches it; on verify_addr it is always answered";
    data_dir "FOLDER" "./data" "`./data`"
        "The folder for everything that is kept; made at the first start, for its owner alone";
    database_url "URL" "" "`sqlite:` in `data_dir`"
        "Where the data is: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE. Give a password in the environment or the file, not on the command line";
    public_url "URL" "" "`http://` and `addr`"
        "The address under which browsers see this server, without a path. Links and the check against forged requests use it";
    pepper_file "FILE" "" "`pepper.key` in `data_dir`"
        "The file with the installation's pepper, made at the first start. Without it no key can be verified: keep a copy, apart from the database's. The environment may hold the pepper itself instead: KEYFOLD_PEPPER, 64 hexadecimal digits";
    trusted_proxies "NETWORKS" "" "none"
        "Addresses or networks of the proxies whose X-Forwarded-For is believed and whom forward-auth answers, separated by commas";
    allow_insecure_http "BOOL" "false" "`false`" #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
        "Serve browsers on other machines over plain HTTP. Passwords and keys then cross the network in the clear";
    key_prefix "TEXT" "kf" "`kf`"
        "What every key of this installation starts with: 2 to 12 lower-case letters and digits. Keys with another prefix stop working when it changes";
    log_format "FORMAT" "text" "`text`"
        "How log lines look: text or json";
    log_level "LEVEL" "info" "`info`"
        "How much is logged: error, warn, info, debug or trace";
    shutdown_delay_seconds "SECONDS" "5" "`5`"
        "How long to go on serving after SIGTERM while /readyz says no, so that load balancers notice";
    shutdown_grace_seconds "SECONDS" "25" "`25`"
        "How long running requests may take to finish after that";
    management_requests_per_minute "NUMBER" "1200" "`1200`"
        "How many requests one key, one person or one network of strangers may make of the management API in a minute, all of them in a row if they like; 0 for no limit. Verifying keys is not counted";
    max_connections "NUMBER" "10000" "`10000`"
        "How many connections may be open at once; more wait in the system's queue";
    node_name "TEXT" "" "the machine's name"
        "What this server is called among those on the same database: up to 100 characters";
    staleness_budget_seconds "SECONDS" "5" "`5`"
        "How long this server goes on saying yes when it can see no changes that others make; after that it answers 503 until it can";
    core_dumps "BOOL" "false" "`false`" #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
        "Let a crash write the process's memory, secrets included, to disk";
}

/// The setting of that name.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
