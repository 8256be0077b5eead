//! `keyfold pepper` as an operator runs it: with the server stopped, interrupted, and until the old pepper is gone.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Call, Cli, Server};

/// Without the pause that is for load balancers.
const AT_ONCE: [&str; 2] = ["--shutdown-delay-seconds", "0"];

struct Place {
    folder: tempfile::TempDir,
    cli: Cli,
}

impl Place {
    fn founded() -> Self {
        let (folder, cli) = Cli::founded();
        Self { folder, cli }
    }

    fn pepper(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("data/pepper.key{ending}"))
    }
}

fn status(server: &Server, secret: &str) -> u16 {
    server.send(&Call::get("/v1/whoami").bearer(secret)).code()
}

fn refused(cli: &Cli, arguments: &[&str]) -> String {
    let output = cli.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_pepper_is_replaced_and_the_old_one_drained_and_retired() {
    let place = Place::founded();
    let cli = &place.cli;
    let (used, idle) = (cli.key(&["--scope", "chat"]), cli.key(&["--scope", "chat"]));
    let before = cli.json(&["pepper", "status"]);
    assert_eq!(before["old"], Value::Null);
    assert!(refused(cli, &["pepper", "retire"]).contains("nothing to retire"));
    let mut server = Server::start(cli, &AT_ONCE).await;
    assert!(refused(cli, &["pepper", "rotate"]).contains("another Keyfold server is using"));
    assert_eq!(server.terminate().await, Some(0));

    let rotated = cli.json(&["pepper", "rotate"]);
    assert_eq!(rotated["old"], before["pepper"]);
    assert!(place.pepper("").exists() && place.pepper(".old").exists() && !place.pepper(".new").exists());
    assert!(refused(cli, &["pepper", "rotate"]).contains("two peppers are live"));
    let mut server = Server::start(cli, &AT_ONCE).await;
    assert_eq!([&used, &used].map(|secret| status(&server, secret)), [200, 200]);
    assert_eq!(server.terminate().await, Some(0));
    let during = cli.json(&["pepper", "status"]);
    assert_eq!((&during["pepper"], &during["old"]["secrets"]), (&rotated["pepper"], &json!(1)), "one has moved: {during}");
    assert!(cli.stdout(&["doctor"]).contains("keyfold pepper status"));
    // A backup of this time wants both.
    let backup = place.folder.path().join("backup.db");
    assert_eq!(cli.json(&["backup", backup.to_str().unwrap()])["pepper"], rotated["pepper"]);

    let retired = cli.json(&["pepper", "retire"]);
    assert_eq!((&retired["keys_deactivated"], &retired["pepper"]), (&json!(1), &before["pepper"]));
    let aside = place.pepper(&format!(".retired-{}", before["pepper"].as_str().unwrap()));
    assert!(aside.exists() && !place.pepper(".old").exists());
    let server = Server::start(cli, &[]).await;
    assert_eq!([&used, &idle].map(|secret| status(&server, secret)), [200, 401]);
    assert_eq!(cli.json(&["audit", "verify"])["whole"], true);

    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let other = Cli::on(elsewhere.path());
    std::fs::copy(place.pepper(""), data.join("pepper.key")).unwrap();
    let restore = ["restore", backup.to_str().unwrap(), "--accept-revived-keys"];
    let said = refused(&other, &restore);
    assert!(said.contains(before["pepper"].as_str().unwrap()) && said.contains(".old"), "{said}");
    std::fs::copy(aside, data.join("pepper.key.old")).unwrap();
    other.stdout(&restore);
    let server = Server::start(&other, &[]).await;
    assert_eq!([&used, &idle].map(|secret| status(&server, secret)), [200, 200]);
}

#[tokio::test]
async fn a_rotation_that_was_interrupted_is_finished_or_begun_anew() {
    let place = Place::founded();
    let cli = &place.cli;
    let secret = cli.key(&["--scope", "chat"]);
    // Before the database was told: what is there of the new one is of no use to anybody.
    std::fs::write(place.pepper(".new"), format!("{}\n", "ab".repeat(32))).unwrap();
    std::fs::copy(place.pepper(""), place.pepper(".old")).unwrap();
    set_private(&place.pepper(".new"));
    let rotated = cli.json(&["pepper", "rotate"]);
    // After that, and before the files were switched.
    std::fs::rename(place.pepper(""), place.pepper(".new")).unwrap();
    std::fs::copy(place.pepper(".old"), place.pepper("")).unwrap();
    let said = refused(cli, &["key", "list", "--workspace", "acme"]);
    assert!(said.contains("interrupted") && said.contains("keyfold pepper rotate"), "{said}");
    let finished = cli.json(&["pepper", "rotate"]);
    assert_eq!((&finished["pepper"], &finished["old"]), (&rotated["pepper"], &rotated["old"]));
    let server = Server::start(cli, &[]).await;
    assert_eq!(status(&server, &secret), 200);
    drop(server);
    // The old file is needed, and is asked for.
    std::fs::rename(place.pepper(".old"), place.pepper(".away")).unwrap();
    let said = refused(cli, &["key", "list", "--workspace", "acme"]);
    assert!(said.contains(rotated["old"].as_str().unwrap()) && said.contains(".old"), "{said}");
}

fn set_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
