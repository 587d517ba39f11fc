//! The command as a process: what it prints last, and how it ends.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

use std::process::{Command, Output};

fn session_sim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-sim"));
    command.args(arguments).output().expect("it starts")
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn clean_seeds_end_with_zero_and_a_summary() {
    let output = session_sim(&["--seeds", "6", "--first", "40", "--steps", "200"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let line = last_line(&output);
    assert!(line.starts_with("6 seeds (40..46), 1200 steps, "), "{line}");
    assert!(
        line.contains(" kinds of fault, ") && line.contains(" 0 violations, "),
        "{line}"
    );
}

#[test]
fn one_seed_is_the_same_on_one_thread_and_on_two() {
    let lines = ["1", "2"].map(|threads| {
        let output = session_sim(&["--seeds", "4", "--steps", "100", "--threads", threads]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let counted: Vec<String> = text.lines().map(str::to_owned).collect();
        counted[..counted.len() - 1].to_vec()
    });
    assert_eq!(lines[0], lines[1]);
}

#[test]
fn a_case_is_replayed_and_told() {
    let case = "../../session-testkit/tests/sim/corpus/join-in-the-past.case";
    let output = session_sim(&["--replay", case]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("rooms.join: granted"), "{text}");
    assert!(last_line(&output).ends_with("0 violations"), "{text}");
}

#[test]
fn unusable_arguments_end_with_two() {
    for wrong in [
        &["--seeds", "x"][..],
        &["--seeds", "0"],
        &["--threads", "0"],
        &["--system", "no-such-system"],
        &["--first", "18446744073709551615", "--seeds", "2"],
        &["--replay", "no-such-file"],
        &["--replay", "a", "--seeds", "1"],
    ] {
        let output = session_sim(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}");
    }
}
