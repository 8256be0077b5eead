//! Three real servers on one PostgreSQL database: what one of them changes holds on all, and one that is out of touch says
//! no yes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BUDGET, Call, Cluster, Made, eventually, verdict};

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(10);

async fn says(cluster: &Cluster, node: usize, key: &Made, wanted: &str) {
    eventually(SOON, || {
        let seen = cluster.verdict(node, &key.secret).unwrap_or_default();
        if seen == wanted { Ok(()) } else { Err(format!("node {node}: {seen}")) }
    })
    .await;
}

async fn all_say(cluster: &Cluster, key: &Made, wanted: &str) {
    for node in 0..cluster.nodes.len() {
        says(cluster, node, key, wanted).await;
    }
}

fn deactivate_everywhere(cluster: &Cluster, node: usize, key: &Made) -> Value {
    let answer = cluster.send(node, Call::post(format!("{}/deactivate?wait=all&wait_seconds=10", key.path())));
    answer.expect(200).json()["in_force"].clone()
}

/// How long a change takes to hold on the other servers, smallest first.
async fn propagation(cluster: &Cluster, key: &Made, rounds: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for round in 0..rounds {
        let (act, wanted) = if round % 2 == 0 { ("deactivate", "deactivated") } else { ("activate", "valid") };
        let node = round % cluster.nodes.len();
        cluster.send(node, Call::post(format!("{}/{act}", key.path()))).expect(200);
        let acknowledged = Instant::now();
        assert_eq!(cluster.verdict(node, &key.secret).as_deref(), Some(wanted), "where it was acknowledged it holds at once");
        for other in (0..cluster.nodes.len()).filter(|other| *other != node) {
            says(cluster, other, key, wanted).await;
            took.push(acknowledged.elapsed());
        }
    }
    took.sort();
    took
}

#[tokio::test]
async fn what_one_server_changes_holds_on_all_of_them() {
    let Some(mut cluster) = Cluster::of(3).await else { return };
    let key = cluster.key(0);
    all_say(&cluster, &key, "valid").await;

    let found = deactivate_everywhere(&cluster, 0, &key);
    for node in 0..3 {
        assert_eq!(cluster.verdict(node, &key.secret).as_deref(), Some("deactivated"), "node {node}, after {found}");
    }
    assert_eq!((&found["complete"], &found["on"], &found["of"]), (&json!(true), &json!(3), &json!(3)), "{found}");

    cluster.send(1, Call::post(format!("{}/activate", key.path()))).expect(200);
    all_say(&cluster, &key, "valid").await;
    let took = propagation(&cluster, &key, 60).await;
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!("in force on another server: p50 {:?}, p99 {:?}, max {:?} of {}", at(50), at(99), at(100), took.len());
    // The goal is far below; this is what must hold on a busy machine too.
    assert!(at(50) <= Duration::from_secs(1) && at(100) <= SOON, "{took:?}");

    let mut waits = Vec::new();
    for _ in 0..20 {
        waits.push(deactivate_everywhere(&cluster, 2, &key)["after_ms"].as_u64().unwrap());
        cluster.send(2, Call::post(format!("{}/activate", key.path()))).expect(200);
    }
    waits.sort_unstable();
    println!("wait=all: median {} ms, max {} ms of {}", waits[10], waits[19], waits.len());

    let listed = cluster.cli.json(&["nodes"]);
    let shown: Vec<_> = listed["data"].as_array().unwrap().iter().map(|node| (node["name"].clone(), node["state"].clone())).collect();
    assert_eq!(shown, [1, 2, 3].map(|number| (json!(format!("node-{number}")), json!("live"))));
    assert!(cluster.cli.stdout(&["nodes"]).contains("node-2"));

    // One that ends in order takes leave.
    assert_eq!(cluster.nodes[2].server.terminate().await, Some(0));
    assert_eq!(cluster.cli.json(&["nodes"])["data"].as_array().unwrap().len(), 2);
    let found = deactivate_everywhere(&cluster, 0, &key);
    assert_eq!((&found["complete"], &found["of"]), (&json!(true), &json!(2)), "{found}");
}

#[tokio::test]
async fn a_server_that_was_paused_says_no_yes_to_what_was_revoked_meanwhile() {
    let Some(cluster) = Cluster::of(3).await else { return };
    let key = cluster.key(0);
    let kept = cluster.key(0);
    all_say(&cluster, &kept, "valid").await;
    all_say(&cluster, &key, "valid").await;
    cluster.nodes[2].server.pause();
    let begun = Instant::now();
    let found = deactivate_everywhere(&cluster, 0, &key);
    assert_eq!((&found["complete"], &found["on"], &found["of"]), (&json!(true), &json!(2), &json!(3)), "{found}");
    // Waiting for it is what takes the time: until its budget has passed it might have said yes.
    assert!(begun.elapsed() >= BUDGET, "{found}");
    // Asked while it is paused: what it answers first, when it goes on, is answered from what it knew.
    let (port, caller) = (cluster.nodes[2].server.port(), cluster.caller.clone());
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let (caller, secret) = (caller.clone(), key.secret.clone());
            std::thread::spawn(move || verdict(port, &caller, &secret))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    cluster.nodes[2].server.resume();
    for asked in asked {
        let seen = asked.join().unwrap().unwrap();
        assert!(seen == "unavailable" || seen == "deactivated", "{seen}");
    }
    says(&cluster, 2, &key, "deactivated").await;
    says(&cluster, 2, &kept, "valid").await;
}

#[tokio::test]
async fn without_its_database_a_server_refuses_after_its_budget_and_comes_back_by_itself() {
    let Some(cluster) = Cluster::of(2).await else { return };
    let (key, kept) = (cluster.key(0), cluster.key(0));
    all_say(&cluster, &key, "valid").await;
    all_say(&cluster, &kept, "valid").await;
    cluster.nodes[1].network.cut();
    let cut = Instant::now();
    // For a moment its answers are still good.
    assert_eq!(cluster.verdict(1, &kept.secret).as_deref(), Some("valid"));
    cluster.send(0, Call::post(format!("{}/deactivate", key.path()))).expect(200);
    let acknowledged = Instant::now();
    loop {
        let asked = Instant::now();
        match cluster.verdict(1, &key.secret).as_deref() {
            Some("unavailable") => break,
            Some("valid") => assert!(asked < acknowledged + BUDGET, "a yes {:?} after the revoke", asked - acknowledged),
            other => panic!("{other:?}"),
        }
    }
    println!("without its database a server refused after {:?}", cut.elapsed());
    let ready = cluster.nodes[1].server.send(&Call::get("/readyz"));
    assert_eq!((ready.code(), ready.json()["status"].clone()), (503, json!("not_ready")));
    assert_eq!(cluster.verdict(0, &kept.secret).as_deref(), Some("valid"));
    let found = deactivate_everywhere(&cluster, 0, &kept);
    assert_eq!((&found["complete"], &found["on"]), (&json!(true), &json!(1)), "{found}");
    cluster.nodes[1].network.mend();
    says(&cluster, 1, &key, "deactivated").await;
    says(&cluster, 1, &kept, "deactivated").await;
    assert_eq!(cluster.nodes[1].server.send(&Call::get("/readyz")).code(), 200);

    // Without wake-ups it only takes until the next look.
    cluster.end_listening().await;
    cluster.send(0, Call::post(format!("{}/activate", kept.path()))).expect(200);
    says(&cluster, 1, &kept, "valid").await;
}
