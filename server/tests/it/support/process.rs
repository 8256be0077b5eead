//! The real program: its commands, and a server of it on a port of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::actors::PASSWORD;
use super::answer::{Answer, Call};

/// How long anything of a real process may take before the test gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again until it is so, or fails with what was seen last.
pub(crate) async fn eventually<T>(within: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(seen) if begun.elapsed() >= within => panic!("not within {within:?}; last seen: {seen}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// The commands of the program, on one data folder.
#[derive(Debug, Clone)]
pub(crate) struct Cli {
    folder: PathBuf,
    settings: Vec<String>,
    /// Stands in front of the program's name.
    within: Vec<String>,
}

impl Cli {
    pub(crate) fn on(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), settings: Vec::new(), within: Vec::new() }
    }

    /// The same with these flags at every command.
    pub(crate) fn with(mut self, settings: &[&str]) -> Self {
        self.settings.extend(settings.iter().map(|&text| text.to_owned()));
        self
    }

    /// The same through another program, which ends by becoming this one.
    pub(crate) fn within(mut self, words: &[String]) -> Self {
        self.within.extend_from_slice(words);
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_keyfold").to_owned();
        let words = [&self.within[..], &[program]].concat();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        // Nothing of the machine it runs on gets in: neither its environment nor a keyfold.toml in the present folder.
        command.env_clear().current_dir(&self.folder).args(arguments).arg("--data-dir").arg(self.folder.join("data")).args(&self.settings);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Starts a command and does not wait for it.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// What a command that succeeds prints on standard output.
    #[track_caller]
    pub(crate) fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, as JSON.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.stdout(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// The exit code and the standard error of a command that is given this on standard input.
    pub(crate) fn with_input(&self, arguments: &[&str], input: &str) -> (Option<i32>, String) {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// A workspace `acme` that belongs to a user `ada`.
    pub(crate) fn found(&self) {
        let user = ["user", "create", "--email", "ada@example.com", "--username", "ada", "--password-stdin"];
        let (code, stderr) = self.with_input(&user, &format!("{PASSWORD}\n"));
        assert_eq!(code, Some(0), "{stderr}");
        self.stdout(&["workspace", "create", "--slug", "acme", "--name", "Acme", "--owner", "ada"]);
    }

    /// The commands on a folder of their own, with that workspace.
    pub(crate) fn founded() -> (TempDir, Self) {
        let folder = tempfile::tempdir().unwrap();
        let cli = Self::on(folder.path());
        cli.found();
        (folder, cli)
    }

    /// The secret of a new key of ada's.
    pub(crate) fn key(&self, access: &[&str]) -> String {
        let create = ["key", "create", "--workspace", "acme", "--owner", "ada", "--name", "a key"];
        let printed = self.stdout(&[&create[..], access].concat());
        printed.strip_suffix('\n').unwrap().to_owned()
    }
}

/// A running server, killed when it goes out of scope.
pub(crate) struct Server {
    child: Child,
    port: u16,
    /// What it said before it was ready, and as it became so.
    heard: String,
    lines: Receiver<String>,
}

impl Server {
    /// Starts a server on the commands' data folder and waits until it is ready.
    pub(crate) async fn start(cli: &Cli, extra: &[&str]) -> Self {
        let mut server = Self::spawn(cli, extra);
        let mut seen = String::new();
        server.port = eventually(PATIENCE, || {
            seen.extend(server.lines.try_iter().map(|line| line + "\n"));
            let address = seen.lines().find(|line| line.contains("is ready")).and_then(|line| line.split("http://127.0.0.1:").nth(1));
            let digits: Option<String> = address.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect());
            digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| seen.clone())
        })
        .await;
        server.heard = seen;
        server
    }

    fn spawn(cli: &Cli, extra: &[&str]) -> Self {
        let mut command = cli.command(&[&["serve", "--addr", "127.0.0.1:0", "--management-requests-per-minute", "0"], extra].concat());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, port: 0, heard: String::new(), lines }
    }

    /// Kills it at once, as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, as a service manager does, and waits until it has.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        self.ask_to_stop();
        self.exit_code().await
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) fn ask_to_stop(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Stops its clockwork where it is, as a busy machine or a debugger may.
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        let child = &mut self.child;
        eventually(PATIENCE, || child.try_wait().unwrap().map(|status| status.code()).ok_or_else(|| "still running".to_owned())).await
    }

    /// The answer to a request over a real connection; nothing if that broke.
    pub(crate) fn try_send(&self, call: &Call) -> Option<Answer> {
        send(self.port, call)
    }

    /// The answer to a request over a real connection.
    pub(crate) fn send(&self, call: &Call) -> Answer {
        self.try_send(call).unwrap()
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it said on standard error until it was ready.
    pub(crate) fn heard(&self) -> &str {
        &self.heard
    }

    /// What it said on standard error since the last look.
    pub(crate) fn said(&self) -> String {
        self.lines.try_iter().map(|line| line + "\n").collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended already cannot be killed, and nothing is wrong with that.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One request by hand. HTTP/1.0, so that the answer ends where the connection does.
pub(crate) fn send(port: u16, call: &Call) -> Option<Answer> {
    let mut head =
        format!("{} {} HTTP/1.0\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n", call.method, call.path, call.body.len()).into_bytes();
    for (name, value) in &call.headers {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    head.extend(&call.body);
    exchange(port, &head)
}

/// The answer to these bytes, after which the server closes the connection.
pub(crate) fn exchange(port: u16, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..split]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse::<u16>().ok()?;
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
    }
    let body = bytes[split + 4..].to_vec();
    // A connection that broke in the middle of an answer is no answer.
    let whole = headers.get("content-length").is_none_or(|length| length.to_str().is_ok_and(|length| length == body.len().to_string()));
    whole.then(|| Answer { status: StatusCode::from_u16(status).unwrap(), headers, body })
}
