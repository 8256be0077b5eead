//! The settings, under the names that OpenTelemetry has given them. What is given and not understood is refused; what this
//! exporter has no use for is left alone.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, Sampler};
use percent_encoding::percent_decode_str;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// A setting that cannot be accepted. Never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {message}.")]
pub struct Refused {
    /// The name of the variable.
    pub variable: &'static str,
    /// What to do, without a full stop.
    pub message: String,
}

impl Refused {
    fn new(variable: &'static str, message: impl Into<String>) -> Self {
        Self { variable, message: message.into() }
    }
}

/// Where traces go, and which.
#[derive(Clone)]
pub struct Settings {
    pub(crate) endpoint: Uri,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) timeout: Duration,
    pub(crate) sampler: Sampler,
    pub(crate) service_name: String,
    pub(crate) attributes: Vec<(String, String)>,
    certificates: Option<String>,
    queue_size: usize,
    batch_size: usize,
    delay: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

impl Settings {
    /// What these environment variables say. `None` if traces are not to be exported, as where no endpoint is named.
    pub fn read(variables: &[(String, String)]) -> Result<Option<Self>, Refused> {
        let given = Given(variables);
        if given.get("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        match given.get("OTEL_TRACES_EXPORTER") {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(_) => return Err(Refused::new("OTEL_TRACES_EXPORTER", "must be otlp or none")),
        }
        let Some(endpoint) = endpoint(&given)? else { return Ok(None) };
        given.only(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"], "http/protobuf")?;
        given.only(["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"], "none")?;
        for variable in ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"] {
            if given.get(variable).is_some() {
                return Err(Refused::new(variable, "certificates of clients are not supported; use OTEL_EXPORTER_OTLP_HEADERS"));
            }
        }
        let mut attributes = given.pairs("OTEL_RESOURCE_ATTRIBUTES")?;
        let named = attributes.iter().position(|(name, _)| name == "service.name").map(|at| attributes.swap_remove(at).1);
        let service_name = given.get("OTEL_SERVICE_NAME").map(str::to_owned).or(named);
        Ok(Some(Self {
            endpoint,
            headers: headers(&given)?,
            timeout: Duration::from_millis(given.whole(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], 10_000)?),
            sampler: sampler(&given)?,
            service_name: service_name.unwrap_or_else(|| "keyfold".to_owned()),
            attributes,
            certificates: given.either(CERTIFICATES).map(|(_, path)| path.to_owned()),
            queue_size: given.whole(["OTEL_BSP_MAX_QUEUE_SIZE"], 2048)?,
            batch_size: given.whole(["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], 512)?,
            delay: Duration::from_millis(given.whole(["OTEL_BSP_SCHEDULE_DELAY"], 5000)?),
        }))
    }

    /// How many spans may wait, and for how long.
    pub(crate) fn queue(&self) -> BatchConfig {
        BatchConfigBuilder::default()
            .with_max_queue_size(self.queue_size)
            .with_max_export_batch_size(self.batch_size)
            .with_scheduled_delay(self.delay)
            .build()
    }

    /// Whom to believe that it is the collector: the authorities of the file that is named, or those of browsers.
    pub(crate) fn roots(&self) -> Result<RootCertStore, Refused> {
        let Some(path) = &self.certificates else {
            return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
        };
        let unreadable = |error: &dyn fmt::Display| Refused::new(CERTIFICATES[1], format!("{path} cannot be used: {error}"));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
            roots.add(certificate.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
        }
        if roots.is_empty() { Err(unreadable(&"no certificate is in it")) } else { Ok(roots) }
    }
}

const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];

/// The variables that are given. An empty one counts as absent.
struct Given<'a>(&'a [(String, String)]);

impl<'a> Given<'a> {
    fn get(&self, variable: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(name, _)| name == variable)?;
        Some(found.1.trim()).filter(|text| !text.is_empty())
    }

    /// The first of these that is given, and which it was.
    fn either<const N: usize>(&self, variables: [&'static str; N]) -> Option<(&'static str, &'a str)> {
        variables.into_iter().find_map(|variable| Some((variable, self.get(variable)?)))
    }

    /// There is one choice.
    fn only<const N: usize>(&self, variables: [&'static str; N], choice: &str) -> Result<(), Refused> {
        match self.either(variables) {
            Some((variable, text)) if text != choice => Err(Refused::new(variable, format!("must be {choice}"))),
            _ => Ok(()),
        }
    }

    /// A whole number that is not 0.
    fn whole<T: FromStr + PartialEq + Default, const N: usize>(&self, variables: [&'static str; N], default: T) -> Result<T, Refused> {
        let Some((variable, text)) = self.either(variables) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| *number != T::default());
        number.ok_or_else(|| Refused::new(variable, "must be a whole number above 0"))
    }

    /// A list `name=value,name=value` with both percent-encoded.
    fn pairs(&self, variable: &'static str) -> Result<Vec<(String, String)>, Refused> {
        let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(Cow::into_owned);
        let parts = self.get(variable).into_iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty());
        let pair = |part: &str| {
            let (name, value) = part.split_once('=')?;
            Some((decoded(name)?, decoded(value)?)).filter(|(name, _)| !name.is_empty())
        };
        let malformed = || Refused::new(variable, "must be like name=value,name=value, with commas inside a value written as %2C");
        parts.map(|part| pair(part).ok_or_else(malformed)).collect()
    }
}

fn endpoint(given: &Given<'_>) -> Result<Option<Uri>, Refused> {
    let (variable, text) = match (given.get(TRACES_ENDPOINT), given.get(ENDPOINT)) {
        (Some(text), _) => (TRACES_ENDPOINT, text.to_owned()),
        (None, Some(text)) => (ENDPOINT, format!("{}/v1/traces", text.trim_end_matches('/'))),
        (None, None) => return Ok(None),
    };
    let uri: Option<Uri> = text.parse().ok();
    let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty()));
    let uri = uri.ok_or_else(|| Refused::new(variable, "must be an address like http://127.0.0.1:4318"))?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Refused::new(variable, "must hold no user or password; give them in OTEL_EXPORTER_OTLP_HEADERS"));
    }
    Ok(Some(uri))
}

fn headers(given: &Given<'_>) -> Result<HashMap<String, String>, Refused> {
    let variables = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
    let Some((variable, _)) = given.either(variables) else { return Ok(HashMap::new()) };
    let pairs = given.pairs(variable)?;
    let is_header = |(name, value): &(String, String)| name.parse::<HeaderName>().is_ok() && value.parse::<HeaderValue>().is_ok();
    if !pairs.iter().all(is_header) {
        return Err(Refused::new(variable, "must hold names and values that may stand in a request"));
    }
    Ok(pairs.into_iter().collect())
}

fn sampler(given: &Given<'_>) -> Result<Sampler, Refused> {
    const NAMES: &str = "must be always_on, always_off, traceidratio, or one of them after parentbased_";
    let name = given.get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
    let (name, by_parent) = name.strip_prefix("parentbased_").map_or((name, false), |rest| (rest, true));
    let sampler = match name {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio(given)?),
        _ => return Err(Refused::new("OTEL_TRACES_SAMPLER", NAMES)),
    };
    Ok(if by_parent { Sampler::ParentBased(Box::new(sampler)) } else { sampler })
}

fn ratio(given: &Given<'_>) -> Result<f64, Refused> {
    let Some(text) = given.get("OTEL_TRACES_SAMPLER_ARG") else { return Ok(1.0) };
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| Refused::new("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, Refused> {
        let owned: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::read(&owned)
    }

    fn with(variables: &[(&str, &str)]) -> Settings {
        read(&[&[(ENDPOINT, "http://127.0.0.1:4318")], variables].concat()).unwrap().unwrap()
    }

    #[test]
    fn without_an_endpoint_or_where_it_is_switched_off_nothing_is_exported() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[(ENDPOINT, " ")]).unwrap().is_none());
        assert!(read(&[("OTEL_SERVICE_NAME", "keys")]).unwrap().is_none());
        assert!(read(&[(ENDPOINT, "http://collector"), ("OTEL_SDK_DISABLED", "True")]).unwrap().is_none());
        assert!(read(&[(ENDPOINT, "http://collector"), ("OTEL_TRACES_EXPORTER", "none")]).unwrap().is_none());
    }

    #[test]
    fn the_endpoint_of_traces_is_taken_as_it_is_and_the_common_one_gets_a_path() {
        for (variables, expected) in [
            (&[(ENDPOINT, "http://collector:4318")][..], "http://collector:4318/v1/traces"),
            (&[(ENDPOINT, "https://collector/otlp/")], "https://collector/otlp/v1/traces"),
            (&[(ENDPOINT, "http://other"), (TRACES_ENDPOINT, "http://collector/x")], "http://collector/x"),
        ] {
            assert_eq!(read(variables).unwrap().unwrap().endpoint.to_string(), expected);
        }
    }

    #[test]
    fn names_headers_and_attributes_are_decoded() {
        let settings = with(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20a%2Cb, x-scope=keys,"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=ignored,deployment.environment=test%20bed"),
            ("OTEL_SERVICE_NAME", "keys"),
        ]);
        let expected = [("authorization", "Bearer a,b"), ("x-scope", "keys")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings.headers, HashMap::from(expected));
        assert_eq!(settings.service_name, "keys");
        assert_eq!(settings.attributes, [("deployment.environment".to_owned(), "test bed".to_owned())]);
        assert_eq!(with(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine")]).service_name, "mine");
        assert_eq!(with(&[]).service_name, "keyfold");
    }

    #[test]
    fn every_sampler_of_the_standard_is_known() {
        let sampler =
            |name, argument| format!("{:?}", with(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]).sampler);
        assert_eq!(sampler("", ""), "ParentBased(AlwaysOn)");
        assert_eq!(sampler("always_on", ""), "AlwaysOn");
        assert_eq!(sampler("always_off", ""), "AlwaysOff");
        assert_eq!(sampler("traceidratio", "0.25"), "TraceIdRatioBased(0.25)");
        assert_eq!(sampler("parentbased_always_off", ""), "ParentBased(AlwaysOff)");
        assert_eq!(sampler("parentbased_traceidratio", "0.5"), "ParentBased(TraceIdRatioBased(0.5))");
    }

    #[test]
    fn what_is_not_understood_is_refused_and_never_repeated() {
        for (variable, value) in [
            (ENDPOINT, "canary"),
            (ENDPOINT, "ftp://canary"),
            (ENDPOINT, "http://ada:canary@collector"),
            ("OTEL_TRACES_EXPORTER", "canary"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "canary"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "canary"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "canary"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "canary"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=canary%0A"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "canary"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=canary"),
            ("OTEL_TRACES_SAMPLER", "canary"),
        ] {
            let refused = read(&[(variable, value), (ENDPOINT, "http://collector")]).unwrap_err();
            assert_eq!(refused.variable, variable);
            assert!(!refused.to_string().contains("canary"), "{refused}");
        }
        let refused = read(&[(ENDPOINT, "http://c"), ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")]);
        assert_eq!(refused.unwrap_err().variable, "OTEL_TRACES_SAMPLER_ARG");
    }

    #[test]
    fn a_file_without_a_certificate_is_no_authority() {
        assert!(with(&[]).roots().unwrap().len() > 50);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        let roots = || with(&[(CERTIFICATES[1], path.to_str().unwrap())]).roots();
        assert!(roots().is_err());
        std::fs::write(&path, "nothing\n").unwrap();
        assert!(roots().unwrap_err().to_string().contains("no certificate is in it"));
    }
}
