//! `keyfold proxy-config`: the configuration of a proxy that asks Keyfold about every request.
//!
//! Each is a file in the folder of this module with `@placeholders@`. A line with a placeholder for an identity header
//! stands there once for each of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::Uri;
use keyfold_domain::name;
use serde::Serialize;

use crate::cli::{CliError, Printer};
use crate::config::{Config, ListenAddr};
use crate::dataplane::{IDENTITY, UNAVAILABLE};

/// Print the configuration of a proxy that lets only requests with a good key through to an application
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("whose").required(true).args(["workspace", "any_workspace"])))]
pub(super) struct Args {
    /// Which proxy
    #[arg(long)]
    proxy: Proxy,
    /// The application behind it, as http://HOST:PORT
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// The slug of the workspace whose keys may pass, by its route map
    #[arg(long, value_name = "SLUG")]
    workspace: Option<String>,
    /// Let keys of every workspace pass, each by the route map of its own; the application has to look at Keyfold-Workspace
    #[arg(long)]
    any_workspace: bool,
    /// Where the proxy finds this server, as http://HOST:PORT; the address it listens on if left out, for envoy-grpc that of
    /// `ext_authz_addr`
    #[arg(long, value_name = "URL")]
    keyfold: Option<String>,
    /// Where the proxy listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Print this file, where a proxy needs more than one
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
}

/// The proxies that there is a configuration for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Proxy {
    Nginx,
    Caddy,
    Haproxy,
    Traefik,
    Envoy,
    EnvoyGrpc,
}

impl Proxy {
    /// The files it needs, by name, with placeholders.
    const fn templates(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Nginx => &[("keyfold.conf", include_str!("proxy_config/nginx.conf"))],
            Self::Caddy => &[("Caddyfile", include_str!("proxy_config/Caddyfile"))],
            Self::Haproxy => {
                &[("haproxy.cfg", include_str!("proxy_config/haproxy.cfg")), ("keyfold.lua", include_str!("proxy_config/keyfold.lua"))]
            }
            Self::Traefik => &[("keyfold.yml", include_str!("proxy_config/traefik.yml"))],
            Self::Envoy => &[("envoy.yaml", include_str!("proxy_config/envoy.yaml"))],
            Self::EnvoyGrpc => &[("envoy.yaml", include_str!("proxy_config/envoy-grpc.yaml"))],
        }
    }
}

/// One file of a configuration.
#[derive(Serialize)]
struct ConfigFile {
    name: &'static str,
    content: String,
}

pub(super) fn run(args: &Args, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let places = Places::of(args, config)?;
    let files: Vec<ConfigFile> =
        args.proxy.templates().iter().map(|(name, template)| ConfigFile { name, content: places.fill(template) }).collect();
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    let (wanted, others) = match &args.file {
        Some(name) => {
            let at = names.iter().position(|other| other == name);
            (at.ok_or_else(|| CliError::Usage(format!("there is no file {name} here, only {}", names.join(" and "))))?, Vec::new())
        }
        None => (0, names[1..].to_vec()),
    };
    if config.trusted_proxies.is_empty() {
        printer.note("Keyfold answers trusted proxies only: give it the proxy's address as trusted_proxies (KEYFOLD_TRUSTED_PROXIES).");
    }
    for name in others {
        printer.note(&format!("It needs {name} beside it: print that with --file {name}."));
    }
    let words = files[wanted].content.trim_end().to_owned();
    printer.data(&files, &words)
}

/// What stands in the place of the placeholders.
struct Places {
    listen: SocketAddr,
    keyfold: Address,
    upstream: Address,
    /// The path of forward-auth.
    auth_path: String,
    /// The slug of the workspace, or `*` for all.
    workspace: String,
}

impl Places {
    fn of(args: &Args, config: &Config) -> Result<Self, CliError> {
        let keyfold = match &args.keyfold {
            Some(url) => Address::read("--keyfold", url)?,
            None if args.proxy == Proxy::EnvoyGrpc => match &config.ext_authz_addr {
                Some(ListenAddr::Tcp(addr)) => Address::of(*addr),
                _ => return Err(CliError::Usage("give --keyfold http://HOST:PORT, the address that ext_authz_addr listens on".to_owned())),
            },
            None => Address::of(config.addr),
        };
        let workspace = match &args.workspace {
            Some(slug) => {
                name::slug("--workspace", slug).map_err(|problem| CliError::Usage(format!("--workspace: {}", problem.message)))?
            }
            None => "*".to_owned(),
        };
        let auth_path = if args.any_workspace { "/v1/forward-auth".to_owned() } else { format!("/v1/workspaces/{workspace}/forward-auth") };
        Ok(Self { listen: args.listen, keyfold, upstream: Address::read("--upstream", &args.upstream)?, auth_path, workspace })
    }

    fn fill(&self, template: &str) -> String {
        let mut filled = String::with_capacity(template.len() * 2);
        for line in template.lines() {
            if ["@name@", "@Name@", "@Under@", "@variable@"].iter().any(|each| line.contains(each)) {
                for header in IDENTITY {
                    filled.push_str(&for_header(line, header));
                    filled.push('\n');
                }
            } else {
                filled.push_str(&self.line(line));
                filled.push('\n');
            }
        }
        filled
    }

    fn line(&self, line: &str) -> String {
        line.replace("@listen@", &self.listen.to_string())
            .replace("@listen_host@", &self.listen.ip().to_string())
            .replace("@listen_port@", &self.listen.port().to_string())
            .replace("@keyfold@", &self.keyfold.both())
            .replace("@keyfold_host@", &self.keyfold.host)
            .replace("@keyfold_port@", &self.keyfold.port.to_string())
            .replace("@upstream@", &self.upstream.both())
            .replace("@upstream_host@", &self.upstream.host)
            .replace("@upstream_port@", &self.upstream.port.to_string())
            .replace("@auth_path@", &self.auth_path)
            .replace("@workspace@", &self.workspace)
            .replace("@unavailable@", UNAVAILABLE)
    }
}

/// The line for one identity header, in every way in which it is written somewhere.
fn for_header(line: &str, name: &str) -> String {
    let title: String = name.split('-').map(capital).collect::<Vec<_>>().join("-");
    line.replace("@name@", name)
        .replace("@Name@", &title)
        .replace("@Under@", &title.replace('-', "_"))
        .replace("@variable@", &name.replace('-', "_"))
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_ascii_uppercase() + rest
}

/// A host and a port.
struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Where this server is found on its own machine.
    fn of(addr: SocketAddr) -> Self {
        let ip = if addr.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { addr.ip() };
        Self { host: bracketed(ip), port: addr.port() }
    }

    /// Reads `http://HOST[:PORT]`.
    fn read(flag: &str, url: &str) -> Result<Self, CliError> {
        let wrong = || CliError::Usage(format!("{flag} must look like http://127.0.0.1:9000; add TLS to the printed configuration"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        let host = authority.host();
        // It is written into configurations as it is.
        let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte));
        let bare = uri.path() == "/" && uri.query().is_none() && uri.scheme_str() == Some("http");
        let portless = authority.as_str() == host;
        match authority.port_u16() {
            Some(port) if plain && bare => Ok(Self { host: host.to_owned(), port }),
            None if plain && bare && portless => Ok(Self { host: host.to_owned(), port: 80 }),
            _ => Err(wrong()),
        }
    }

    fn both(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            listen: "127.0.0.1:8080".parse().unwrap(),
            keyfold: Address::read("--keyfold", "http://127.0.0.1:3000").unwrap(),
            upstream: Address::read("--upstream", "http://app.example:9000").unwrap(),
            auth_path: "/v1/workspaces/acme/forward-auth".to_owned(),
            workspace: "acme".to_owned(),
        }
    }

    #[test]
    fn every_placeholder_of_every_file_is_filled() {
        for proxy in <Proxy as clap::ValueEnum>::value_variants() {
            for (name, template) in proxy.templates() {
                let filled = places().fill(template);
                let holes: Vec<&str> = filled.split('@').skip(1).step_by(2).filter(|hole| known(hole)).collect();
                assert!(holes.is_empty(), "{name}: {holes:?}");
                let whose = if *proxy == Proxy::EnvoyGrpc { "{ workspace: \"acme\" }" } else { "/v1/workspaces/acme/forward-auth" };
                assert!(filled.contains(whose) || *name == "haproxy.cfg", "{name}");
            }
        }
    }

    /// Does the text between two `@` look like a placeholder? Some configurations use the sign themselves.
    fn known(hole: &str) -> bool {
        !hole.is_empty() && hole.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') && hole != "keyfold_refused"
    }

    #[test]
    fn every_proxy_takes_every_identity_header_away_and_sets_it_anew() {
        for proxy in <Proxy as clap::ValueEnum>::value_variants() {
            let filled: String = proxy.templates().iter().map(|(_, template)| places().fill(template)).collect();
            let filled = filled.to_ascii_lowercase();
            for header in IDENTITY {
                assert!(filled.contains(header) || filled.contains(&header.replace('-', "_")), "{proxy:?} {header}");
            }
        }
    }

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_else() {
        for (url, both) in
            [("http://127.0.0.1:9000", "127.0.0.1:9000"), ("http://app.example", "app.example:80"), ("http://[::1]:9000/", "[::1]:9000")]
        {
            assert_eq!(Address::read("--upstream", url).ok().map(|address| address.both()).as_deref(), Some(both));
        }
        for url in [
            "",
            "app",
            "app:9000",
            "https://app",
            "http://app/x",
            "http://app?x",
            "http://u@app",
            "http://a;b",
            "http://app:99999",
            "http://",
        ] {
            assert!(Address::read("--upstream", url).is_err(), "{url}");
        }
    }
}
