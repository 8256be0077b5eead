//! A real proxy, as `keyfold proxy-config` configures it, between a client, a server in process and a small application
//! that says what it was asked.

use std::net::{Ipv4Addr, TcpListener as StdListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, block_in_place};

use super::answer::Answer;
use super::app::{App, PROXY};
use super::process::{Cli, PATIENCE, eventually, exchange};

/// A proxy that can be started here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    pub(super) program: PathBuf,
}

/// The program of that name among those that the tests are given. None where none are; `make test` always gives all.
#[expect(clippy::disallowed_methods, reason = "tests are told of their programs by the environment")]
fn given(name: &str) -> Option<PathBuf> {
    let named = std::env::var("TEST_PROXIES").ok()?;
    let mut pairs = named.split_whitespace().filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(other, _)| *other == name);
    Some(found.unwrap_or_else(|| panic!("TEST_PROXIES names no {name}")).1.into())
}

/// What judges units, if it is here.
pub(crate) fn systemd_analyze() -> Option<PathBuf> {
    given("systemd-analyze")
}

impl Proxy {
    /// Every proxy that the configuration is tried on. None where none are given; `make test` always gives all.
    pub(crate) fn all() -> Vec<Self> {
        ["nginx", "caddy", "haproxy"].into_iter().filter_map(|name| Some(Self { name, program: given(name)? })).collect()
    }

    /// Writes the configuration, and says how to start with it.
    fn prepare(&self, folder: &Path, flags: &[&str]) -> Command {
        let cli = Cli::on(folder);
        let print = |extra: &[&str]| cli.stdout(&[&["proxy-config", "--proxy", self.name][..], flags, extra].concat());
        let at = |name: &str| folder.join(name).display().to_string();
        let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder).current_dir(folder);
        match self.name {
            "nginx" => {
                write("keyfold.conf", print(&[]));
                write("nginx.conf", nginx_main(folder));
                command.args(["-p", &at(""), "-c", &at("nginx.conf"), "-e", &at("error.log")]);
            }
            "caddy" => {
                write("Caddyfile", format!("{{\n\tadmin off\n}}\n{}", print(&[])));
                command.args(["run", "--adapter", "caddyfile", "--config", &at("Caddyfile")]);
            }
            _ => {
                write("haproxy.cfg", print(&[]));
                write("keyfold.lua", print(&["--file", "keyfold.lua"]));
                command.args(["-db", "-f", "haproxy.cfg"]);
            }
        }
        command
    }

    /// Starts it in front of the server and an application of its own.
    pub(crate) async fn start(&self, app: &App) -> Guard {
        let (keyfold, serving) = listen(Router::new().fallback_service(app.service(PROXY))).await;
        self.start_with(keyfold, vec![serving]).await
    }

    /// The same where no server answers.
    pub(crate) async fn start_alone(&self) -> Guard {
        self.start_with(free_port(), Vec::new()).await
    }

    async fn start_with(&self, keyfold: u16, mut tasks: Vec<JoinHandle<()>>) -> Guard {
        let folder = tempfile::tempdir().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (application, echoing) = listen(Router::new().fallback(echo).with_state(Arc::clone(&asked))).await;
        tasks.push(echoing);
        let [keyfold_url, upstream] = [keyfold, application].map(|port| format!("http://127.0.0.1:{port}"));
        for _ in 0..5 {
            let port = free_port();
            let listen = format!("127.0.0.1:{port}");
            let flags = ["--workspace", "acme", "--upstream", &upstream, "--keyfold", &keyfold_url, "--listen", &listen];
            let mut command = self.prepare(folder.path(), &flags);
            let log = std::fs::File::create(folder.path().join("output")).unwrap();
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            let mut child = command.spawn().unwrap();
            let ready = eventually(PATIENCE, || match child.try_wait().unwrap() {
                Some(_) => Ok(false),
                None => TcpStream::connect(("127.0.0.1", port)).map(|_| true).map_err(|error| error.to_string()),
            })
            .await;
            if ready {
                return Guard { name: self.name, child, port, asked, tasks, folder };
            }
        }
        panic!("{} does not start: {}", self.name, said(folder.path()));
    }
}

/// A port that nobody listens on at this moment, and that the system gives to nobody who leaves the choice to it: those begin
/// at 32768. A server of another test would otherwise have it before the proxy has.
pub(crate) fn free_port() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    loop {
        // Tests are processes of their own, beside one another; each begins somewhere else.
        let place = std::process::id().wrapping_mul(61).wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(10_000 + place % 22_000).unwrap();
        if StdListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn said(folder: &Path) -> String {
    ["output", "error.log"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap_or_default()).concat()
}

/// What nginx needs around a file of `conf.d`: everything it writes stays in the folder.
fn nginx_main(folder: &Path) -> String {
    let folder = folder.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {folder}/{name};"));
    format!(
        "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{ }}\n\
         http {{ access_log off; {} include {folder}/keyfold.conf; }}\n",
        paths.join(" ")
    )
}

async fn listen(router: Router) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

/// The application: says what it was asked.
async fn echo(State(asked): State<Arc<AtomicUsize>>, request: Request<Body>) -> String {
    asked.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let headers: Vec<[String; 2]> =
        parts.headers.iter().map(|(name, value)| [name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()]).collect();
    let seen = json!({
        "method": parts.method.as_str(), "target": parts.uri.to_string(), "headers": headers, "body": String::from_utf8_lossy(&body),
    });
    seen.to_string()
}

/// A running proxy with what stands behind it. All of it ends with this.
pub(crate) struct Guard {
    pub(crate) name: &'static str,
    child: Child,
    port: u16,
    asked: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
    folder: TempDir,
}

impl Guard {
    /// The answer to a request whose first line and headers are written here, a line each.
    pub(crate) fn ask(&self, head: &str) -> Answer {
        self.ask_with(head, "")
    }

    /// The same with a body, whose length is added to the headers.
    pub(crate) fn ask_with(&self, head: &str, body: &str) -> Answer {
        let (first, headers) = head.split_once('\n').unwrap_or((head, ""));
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\n", body.len()) };
        let headers = headers.lines().fold(String::new(), |all, line| all + line.trim() + "\n");
        let head = format!("{first} HTTP/1.0\nHost: app.example\n{length}{headers}\n").replace('\n', "\r\n");
        let answer = block_in_place(|| exchange(self.port, &[head.as_bytes(), body.as_bytes()].concat()));
        answer.unwrap_or_else(|| panic!("{} gave no answer: {}", self.name, said(self.folder.path())))
    }

    /// What the application saw of a request that is let through.
    #[track_caller]
    pub(crate) fn passes(&self, head: &str) -> Seen {
        let before = self.asked.load(Ordering::Relaxed);
        let answer = self.ask(head);
        assert_eq!(answer.code(), 200, "{}: {head}: {}", self.name, answer.text());
        assert_eq!(self.asked.load(Ordering::Relaxed), before + 1, "{}: {head}", self.name);
        Seen(answer.json())
    }

    /// The answer to a request that is held back, and that the application therefore never sees.
    #[track_caller]
    pub(crate) fn refuses(&self, head: &str, status: u16) -> Answer {
        let before = self.asked.load(Ordering::Relaxed);
        let answer = self.ask(head);
        assert_eq!(answer.code(), status, "{}: {head}: {}", self.name, answer.text());
        assert_eq!(self.asked.load(Ordering::Relaxed), before, "{}: {head} reached the application", self.name);
        answer
    }

    /// The same, where the answer has to name this reason.
    #[track_caller]
    pub(crate) fn refuses_as(&self, head: &str, status: u16, reason: &str) -> Answer {
        let answer = self.refuses(head, status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}: {head}", self.name);
        let body = answer.json();
        assert_eq!((&body["reason"], &body["status"]), (&json!(reason), &json!(status)), "{}: {head}: {body}", self.name);
        answer
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        // One that has ended already cannot be killed, and nothing is wrong with that.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What the application saw of a request.
#[derive(Debug)]
pub(crate) struct Seen(Value);

impl Seen {
    /// Method and target.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.0["method"].as_str().unwrap(), self.0["target"].as_str().unwrap())
    }

    /// Every header of that name.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let headers = self.0["headers"].as_array().unwrap();
        headers.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap()).collect()
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}
