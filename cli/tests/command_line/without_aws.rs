//! `plan`, `coverage`, `evidence`, `adopt` and `lineage` where something they need is missing: each message tells what to do.

use std::io::Read;
use std::net::TcpListener;

use crate::{POLICIES, Ran, Shell};

fn all(shell: &Shell) -> [Ran; 5] {
    shell.file("p.yaml", POLICIES);
    let adopt = [
        "adopt",
        "--policy",
        "nightly-db",
        "--policies",
        "p.yaml",
        "--yes",
    ];
    [
        shell.run(&["plan", "--policies", "p.yaml", "--json"]),
        shell.run(&["coverage", "--policies", "p.yaml"]),
        shell.run(&["evidence", "snap-0123456789abcdef0"]),
        shell.run(&[&adopt[..], &["snap-0123456789abcdef0"]].concat()),
        shell.run(&["lineage", "snap-0123456789abcdef0"]),
    ]
}

fn assert_failed(ran: &Ran, status: i32, words: &str) {
    assert_eq!((ran.status, ran.out.as_str()), (status, ""), "{}", ran.err);
    assert!(
        ran.err.contains(words),
        "{:?} does not say {words:?}",
        ran.err
    );
}

#[test]
fn a_missing_table_setting_is_named() {
    for ran in all(&Shell::new()) {
        assert_failed(&ran, 2, "HOLDFAST_TABLE");
    }
}

#[test]
fn a_missing_region_is_named_with_the_ways_to_give_one() {
    for ran in all(&Shell::new().set("HOLDFAST_TABLE", "holdfast")) {
        assert_failed(&ran, 2, "--region");
    }
}

#[test]
fn missing_credentials_are_told_from_a_refusal() {
    let shell = Shell::new()
        .set("HOLDFAST_TABLE", "holdfast")
        .set("AWS_REGION", "eu-central-1");
    for ran in all(&shell) {
        assert_failed(&ran, 1, "no AWS credentials");
    }
}

#[test]
fn a_chosen_profile_that_does_not_exist_is_not_replaced_by_the_environments_credentials() {
    let shell = Shell::new()
        .set("HOLDFAST_TABLE", "holdfast")
        .set("AWS_ACCESS_KEY_ID", "key")
        .set("AWS_SECRET_ACCESS_KEY", "secret");
    let mut arguments = vec!["lineage", "vol-1", "--region", "eu-central-1"];
    arguments.extend(["--profile", "elsewhere"]);
    let ran = shell.run(&arguments);
    assert_failed(&ran, 1, "no AWS credentials");
    assert!(ran.err.contains("elsewhere"), "{}", ran.err);
}

#[test]
fn a_chosen_profiles_credentials_win_over_the_environments() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let request = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut part = [0; 1024];
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "the request ends within its head");
            request.extend_from_slice(&part[..read]);
        }
        String::from_utf8_lossy(&request).into_owned()
    });
    let shell = Shell::new()
        .set("HOLDFAST_TABLE", "holdfast")
        .set("AWS_ACCESS_KEY_ID", "of-the-environment")
        .set("AWS_SECRET_ACCESS_KEY", "secret")
        .set("AWS_MAX_ATTEMPTS", "1")
        .set("AWS_ENDPOINT_URL", &format!("http://{address}"))
        .set("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    shell.file(
        "credentials",
        "[chosen]\naws_access_key_id = of-the-profile\naws_secret_access_key = secret\n",
    );
    let mut arguments = vec!["lineage", "vol-1", "--region", "eu-central-1"];
    arguments.extend(["--profile", "chosen"]);
    let ran = shell.run(&arguments);
    assert_eq!(ran.status, 1, "{}", ran.err);
    let request = request.join().unwrap();
    assert!(request.contains("Credential=of-the-profile/"), "{request}");
}

#[test]
fn an_endpoint_that_does_not_answer_is_a_failure_and_not_an_empty_plan() {
    // Bound and closed again: nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let shell = Shell::new()
        .set("HOLDFAST_TABLE", "holdfast")
        .set("AWS_REGION", "eu-central-1")
        .set("AWS_ACCESS_KEY_ID", "key")
        .set("AWS_SECRET_ACCESS_KEY", "secret")
        .set("AWS_MAX_ATTEMPTS", "1")
        .set("AWS_ENDPOINT_URL", &format!("http://{closed}"));
    let [plan, coverage, evidence, adopt, lineage] = all(&shell);
    for ran in [plan, evidence, lineage] {
        assert_failed(&ran, 1, "table holdfast could not be read");
    }
    for ran in [adopt, coverage] {
        assert_failed(&ran, 1, "EC2 could not be read");
    }
}

#[test]
fn a_wrong_policy_file_is_told_before_anything_is_asked_of_aws() {
    let shell = Shell::new();
    shell.file("p.yaml", &POLICIES.replace("daily: 2", "daily: two"));
    let adopt = [
        "adopt",
        "--policy",
        "nightly-db",
        "snap-1",
        "--policies",
        "p.yaml",
    ];
    let coverage = ["coverage", "--policies", "p.yaml"];
    for arguments in [&["plan", "--policies", "p.yaml"][..], &coverage, &adopt] {
        let ran = shell.run(arguments);
        assert_failed(&ran, 2, "\np.yaml:9: policies[0].retain.daily: ");
    }
    let ran = shell.set("HOLDFAST_POLICIES", "other.yaml").run(&["plan"]);
    assert_failed(&ran, 2, "other.yaml: cannot be read");
}
