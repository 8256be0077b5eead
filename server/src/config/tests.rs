use std::io::Write as _;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    // Never empty, as no real environment is.
    let mut all = vec![("PATH".to_owned(), "/bin".to_owned())];
    all.extend(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    all
}

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
    let mut toml = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    toml.write_all(file.as_bytes()).unwrap();
    let mut flags = Flags::of(flags).unwrap();
    flags.config = Some(toml.path().to_owned());
    let name = toml.path().display().to_string();
    let config = Values::gather(&flags, variables(environment)).and_then(|values| Config::from_values(&values));
    config.map_err(|error| error.to_string().replace(&name, "FILE"))
}

fn refusal(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    load(file, environment, flags).err().unwrap()
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let file = "addr = \"127.0.0.1:1\"\nlog_level = \"warn\"\nkey_prefix = \"acme\"";
    let environment = [("KEYFOLD_ADDR", "127.0.0.1:2"), ("KEYFOLD_LOG_LEVEL", "debug")];
    let config = load(file, &environment, &[("addr", "127.0.0.1:3")]).unwrap();
    assert_eq!((config.addr.port(), config.log_level, config.key_prefix.as_str()), (3, LogLevel::Debug, "acme"));
    assert_eq!(load(file, &environment, &[]).unwrap().addr.port(), 2);
    assert_eq!(load(file, &[], &[]).unwrap().addr.port(), 1);
    assert_eq!(load("", &[], &[]).unwrap().addr.port(), 3000);
}

#[test]
fn every_setting_says_where_it_came_from() {
    let config = load("log_level = \"warn\"", &[("KEYFOLD_KEY_PREFIX", "acme")], &[("addr", "127.0.0.1:3")]).unwrap();
    let source = |key| config.effective().iter().find(|setting| setting.key == key).unwrap().source.clone();
    assert!(matches!(source("log_level"), Source::File(_)));
    assert_eq!((source("key_prefix"), source("addr"), source("data_dir")), (Source::Environment, Source::Flag, Source::Default));
}

#[test]
fn paths_and_addresses_follow_from_one_another() {
    let config = Config::of(&[("data_dir", "/srv/keys"), ("addr", "127.0.0.1:4000")]).unwrap();
    assert_eq!(config.pepper_file().unwrap().to_str().unwrap(), "/srv/keys/pepper.key");
    assert_eq!(config.setup_token_file().to_str().unwrap(), "/srv/keys/setup-token");
    assert_eq!(config.public_url.origin(), "http://127.0.0.1:4000");
    assert!(config.database_url.to_string().contains("/srv/keys/keyfold.db"));
}

#[test]
fn a_port_chosen_by_the_system_goes_into_the_public_address() {
    let bound = "127.0.0.1:4711".parse().unwrap();
    assert_eq!(Config::of(&[("addr", "127.0.0.1:0")]).unwrap().bound_to(bound).public_url.origin(), "http://127.0.0.1:4711");
    let fixed = Config::of(&[("addr", "127.0.0.1:0"), ("public_url", "https://keys.example.com")]).unwrap();
    assert_eq!(fixed.bound_to(bound).public_url.origin(), "https://keys.example.com");
}

#[test]
fn an_unknown_name_is_refused_wherever_it_stands() {
    assert!(refusal("adress = \"x\"", &[], &[]).starts_with("FILE, adress: there is no such setting. The settings are addr, verify_addr"));
    assert!(refusal("[server]\naddr = \"x\"", &[], &[]).starts_with("FILE, server: there is no such setting"));
    assert!(refusal("", &[("KEYFOLD_ADRESS", "x")], &[]).starts_with("KEYFOLD_ADRESS: there is no such setting"));
    assert!(refusal("pepper = \"x\"", &[], &[]).starts_with("FILE, pepper: there is no such setting"));
    assert!(Flags::of(&[("adress", "x")]).is_err());
}

#[test]
fn a_value_that_makes_no_sense_names_its_source_and_the_rule() {
    let cases = [
        ("addr", "here", "KEYFOLD_ADDR: must be an address and port, like 127.0.0.1:3000."),
        (
            "verify_addr",
            "unix:here",
            "KEYFOLD_VERIFY_ADDR: must be an address and port, like 127.0.0.1:3001, or unix: and the whole path of a file.",
        ),
        ("public_metrics", "on", "KEYFOLD_PUBLIC_METRICS: must be true or false."),
        ("log_format", "xml", "KEYFOLD_LOG_FORMAT: must be one of text, json."),
        ("log_level", "loud", "KEYFOLD_LOG_LEVEL: must be one of error, warn, info, debug, trace."),
        ("management_requests_per_minute", "many", "KEYFOLD_MANAGEMENT_REQUESTS_PER_MINUTE: must be a whole number from 0 to 1000000."),
        ("max_connections", "0", "KEYFOLD_MAX_CONNECTIONS: must be a whole number from 1 to 1000000."),
        ("shutdown_delay_seconds", "-1", "KEYFOLD_SHUTDOWN_DELAY_SECONDS: must be a whole number from 0 to 300."),
        ("allow_insecure_http", "yes", "KEYFOLD_ALLOW_INSECURE_HTTP: must be true or false."),
        ("trusted_proxies", "10.0.0.0/33", "KEYFOLD_TRUSTED_PROXIES: must be addresses or networks like 10.0.0.0/8, separated by commas."),
        ("key_prefix", "KF", "KEYFOLD_KEY_PREFIX: must be 2 to 12 lower-case letters and digits, starting with a letter."),
        ("public_url", "keys", "KEYFOLD_PUBLIC_URL: must look like https://keys.example.com or http://127.0.0.1:3000."),
        ("pepper", "abc", "KEYFOLD_PEPPER: must be 64 hexadecimal digits (32 random bytes)."),
    ];
    for (key, value, message) in cases {
        let variable = format!("KEYFOLD_{}", key.to_ascii_uppercase());
        assert_eq!(refusal("", &[(&variable, value)], &[]), message);
    }
    assert_eq!(refusal("addr = 1.5", &[], &[]), "FILE, addr: must be a text, a number, true, false or a list of texts.");
    assert!(refusal("", &[], &[("addr", "here")]).starts_with("--addr: must be"));
}

#[test]
fn a_broken_file_is_refused_by_line_without_quoting_it() {
    assert_eq!(refusal("addr = \"127.0.0.1:1\"\ndatabase_url = \"canary", &[], &[]), "FILE: line 2 is not valid TOML.");
    let mut flags = Flags::of(&[]).unwrap();
    flags.config = Some("/nowhere/keyfold.toml".into());
    assert!(Values::gather(&flags, Vec::new()).err().unwrap().to_string().starts_with("/nowhere/keyfold.toml: cannot be read:"));
}

#[test]
fn an_empty_variable_counts_as_absent() {
    assert_eq!(load("", &[("KEYFOLD_ADDR", "")], &[]).unwrap().addr.port(), 3000);
}

#[test]
fn proxies_are_networks_or_addresses_in_a_list_or_a_text() {
    let from_file = load("trusted_proxies = [\"10.0.0.0/8\", \"::1\"]", &[], &[]).unwrap();
    let from_text = load("", &[("KEYFOLD_TRUSTED_PROXIES", "10.0.0.0/8, ::1")], &[]).unwrap();
    assert_eq!(from_file.trusted_proxies, from_text.trusted_proxies);
    assert_eq!(from_file.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
}

#[test]
fn plain_http_to_other_machines_needs_consent() {
    let open = refusal("", &[], &[("public_url", "http://keys.example.com")]);
    assert!(open.contains("in the clear") && open.contains("allow_insecure_http"), "{open}");
    assert!(refusal("", &[], &[("addr", "10.0.0.1:3000")]).contains("allow_insecure_http"));
    let accepted = Config::of(&[("public_url", "http://keys.example.com"), ("allow_insecure_http", "true")]).unwrap();
    assert!(accepted.is_insecure() && !accepted.secure_cookies());
}

#[test]
fn cookies_are_secure_wherever_browsers_keep_such_cookies() {
    let secure = |settings: &[(&str, &str)]| Config::of(settings).unwrap().secure_cookies();
    assert!(secure(&[]));
    assert!(secure(&[("public_url", "https://keys.example.com"), ("allow_insecure_http", "true")]));
    assert!(!secure(&[("allow_insecure_http", "true")]));
}

#[test]
fn the_pepper_comes_from_one_place() {
    let digits = "0123456789abcdef".repeat(4);
    let config = load("", &[("KEYFOLD_PEPPER", &digits)], &[]).unwrap();
    assert!(config.pepper_file().is_none());
    let shown = format!("{:?}", config.effective());
    assert!(!shown.contains(&digits));
    assert!(refusal("pepper_file = \"p\"", &[("KEYFOLD_PEPPER", &digits)], &[]).contains("give one of the two"));
}

#[test]
fn a_database_password_is_never_shown() {
    let config = Config::of(&[("database_url", "postgres://keyfold:canary@db/keyfold")]).unwrap();
    assert!(!format!("{:?}", config.effective()).contains("canary"));
    assert!(!refusal("", &[], &[("database_url", "mysql://u:canary@db")]).contains("canary"));
}

#[test]
fn the_reference_explains_every_setting() {
    let reference = reference();
    for setting in settings::SETTINGS {
        assert!(reference.contains(&format!("| `{}` | `{}` | `{}` |", setting.key, setting.variable(), setting.flag())), "{}", setting.key);
    }
}
