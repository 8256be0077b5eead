//! HAProxy in front of several servers, with the configuration of `docs/deploy-nodes.md`.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::page::{blocks, fitted};
use super::process::{PATIENCE, eventually};
use super::proxy::{Proxy, free_port};

/// A running HAProxy, which ends with this.
pub(crate) struct Balancer {
    pub(crate) port: u16,
    child: Child,
    folder: TempDir,
}

/// What HAProxy says of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Behind {
    /// `UP`, `DOWN` and the like.
    pub(crate) status: String,
    /// How many sessions it has had.
    pub(crate) sessions: u64,
}

impl Balancer {
    /// In front of servers on these ports; `None` where no HAProxy is named. Only addresses and the certificate differ from the page.
    pub(crate) async fn before(ports: [u16; 3]) -> Option<Self> {
        let program = Proxy::all().into_iter().find(|proxy| proxy.name == "haproxy")?.program;
        let folder = tempfile::tempdir().unwrap();
        let [page] = <[String; 1]>::try_from(blocks("deploy-nodes.md", "haproxy")).unwrap();
        let [one, two, three] = ports.map(|port| format!("127.0.0.1:{port}"));
        for _ in 0..5 {
            let port = free_port();
            let text = fitted(
                &page,
                &[
                    (":443 ssl crt /etc/haproxy/keys.pem", &format!("127.0.0.1:{port}")),
                    ("10.0.0.11:3000", &one),
                    ("10.0.0.12:3000", &two),
                    ("10.0.0.13:3000", &three),
                ],
            );
            // For the test to look at; nothing of the page's own is touched.
            let watched = format!("global\n    stats socket {}\n{text}", folder.path().join("stats").display());
            std::fs::write(folder.path().join("haproxy.cfg"), watched).unwrap();
            let log = std::fs::File::create(folder.path().join("output")).unwrap();
            let mut command = Command::new(&program);
            command.env_clear().current_dir(folder.path()).args(["-db", "-f", "haproxy.cfg"]);
            let mut child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
            let ready = eventually(PATIENCE, || match child.try_wait().unwrap() {
                Some(_) => Ok(false),
                None => TcpStream::connect(("127.0.0.1", port)).map(|_| true).map_err(|error| error.to_string()),
            })
            .await;
            if ready {
                return Some(Self { port, child, folder });
            }
        }
        panic!("HAProxy does not start: {}", std::fs::read_to_string(folder.path().join("output")).unwrap_or_default());
    }

    /// What it says of each server, by its name.
    pub(crate) fn servers(&self) -> BTreeMap<String, Behind> {
        let mut stream = UnixStream::connect(self.folder.path().join("stats")).unwrap();
        stream.write_all(b"show stat\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let heads: Vec<&str> = text.lines().next().unwrap().trim_start_matches("# ").split(',').collect();
        let place = |name: &str| heads.iter().position(|head| *head == name).unwrap();
        let (name, status, sessions) = (place("svname"), place("status"), place("stot"));
        let rows = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()).filter(|row| row.len() > status);
        rows.filter(|row| row[name].starts_with("keys-"))
            .map(|row| {
                (row[name].to_owned(), Behind { status: row[status].to_owned(), sessions: row[sessions].parse().unwrap_or_default() })
            })
            .collect()
    }

    /// Waits until it says that of a server.
    pub(crate) async fn says(&self, server: &str, status: &str) {
        eventually(PATIENCE, || {
            let seen = self.servers();
            if seen[server].status.starts_with(status) { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and nothing is wrong with that.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
