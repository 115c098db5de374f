//! What stands around the results: colours, pipes, help and wrong usage.

use std::io::Write;

use crate::{POLICIES, Shell};

const CHECK: [&str; 3] = ["policies", "check", "p.yaml"];

#[test]
fn a_pipe_gets_no_colours_and_no_trailing_blanks() {
    let shell = Shell::new();
    shell.file("p.yaml", POLICIES);
    let out = shell.run(&CHECK).out;
    assert!(!out.contains('\u{1b}'), "{out:?}");
    assert!(out.lines().all(|line| line == line.trim_end()), "{out:?}");
}

#[test]
fn no_color_wins_over_forced_colours() {
    let forced = Shell::new().set("CLICOLOR_FORCE", "1");
    forced.file("p.yaml", POLICIES);
    assert!(forced.run(&CHECK).out.contains('\u{1b}'));
    let forbidden = Shell::new().set("CLICOLOR_FORCE", "1").set("NO_COLOR", "1");
    forbidden.file("p.yaml", POLICIES);
    let ran = forbidden.run(&CHECK);
    assert!(!ran.out.contains('\u{1b}'), "{:?}", ran.out);
    let ran = forbidden.run(&[
        "retention",
        "--policies",
        "p.yaml",
        "--policy",
        "x",
        "--times",
        "-",
    ]);
    assert!(!ran.err.contains('\u{1b}'), "{:?}", ran.err);
}

#[test]
fn json_has_no_colours_though_they_are_forced() {
    let shell = Shell::new().set("CLICOLOR_FORCE", "1");
    shell.file("p.yaml", POLICIES);
    let ran = shell.run(&[&CHECK[..], &["--json"]].concat());
    assert_eq!(ran.json()["schema"], 1);
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let shell = Shell::new();
    shell.file("p.yaml", POLICIES);
    let arguments = [
        "retention",
        "--policies",
        "p.yaml",
        "--policy",
        "nightly-db",
    ];
    let mut command = shell.command(&[&arguments[..], &["--times", "-"]].concat());
    let mut child = command.spawn().unwrap();
    // Gone before the command, which waits for its input, can have written anything.
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all("2026-11-22T06:00:00Z\n".repeat(10_000).as_bytes())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn wrong_usage_is_status_2_and_says_what_is_wrong() {
    let shell = Shell::new();
    for (arguments, named) in [
        (&["lineage", "lt-1"][..], "lt-1"),
        (&["lineage", "--format", "png"], "png"),
        (&["report"], "--html"),
        (&["evidence"], "<ID>"),
        (&["evidence", "vol-1"], "vol-1"),
        (&["adopt", "snap-1"], "--policy"),
        (&["adopt", "--policy", "nightly"], "<ID>"),
        (&["adopt", "--policy", "nightly", "i-1"], "i-1"),
        (&["plan", "--now", "yesterday"], "RFC 3339"),
        (&["policies", "chek", "p.yaml"], "chek"),
        (&["retention", "--times", "-"], "--policy"),
        (&["plan", "--region", ""], "--region"),
    ] {
        let ran = shell.run(arguments);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains(named), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn help_is_a_result_with_an_example() {
    for command in [
        "retention",
        "plan",
        "explain",
        "evidence",
        "adopt",
        "lineage",
        "report",
    ] {
        let ran = Shell::new().run(&[command, "--help"]);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""));
        assert!(
            ran.out.contains(&format!("holdfast {command} ")),
            "{}",
            ran.out
        );
    }
}
