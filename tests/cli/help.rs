//! Help and version.

use crate::command::{api_guard, command};
use crate::files::{File, config};

/// Every subcommand that the general help lists.
fn subcommands() -> Vec<String> {
    let help = api_guard(["--help"]);
    assert_eq!(help.code, 0);
    let listed = help.out.split("Commands:\n").nth(1).expect("a list").split("\n\n").next().expect("its end");
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_subcommand_has_help_with_an_example_and_a_version() {
    let subcommands = subcommands();
    assert!(subcommands.len() >= 2, "{subcommands:?}");
    for name in subcommands {
        let help = api_guard([&name, "--help"]);
        assert_eq!(help.code, 0, "{name}");
        assert!(help.out.contains("Example"), "{name}: {}", help.out);
        let version = api_guard([&name, "--version"]);
        assert_eq!(version.code, 0, "{name}");
        assert!(version.out.contains(env!("CARGO_PKG_VERSION")), "{name}");
    }
    assert_eq!(api_guard(["--version"]).line(), concat!("api-guard ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [&[][..], &["frobnicate"], &["keygen", "more"], &["mint"], &["--nothing"]] {
        assert_eq!(api_guard(arguments).code, 2, "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_one_that_nobody_reads_is_none() {
    let good = File::new(config(serde_json::json!({})).to_string());
    let document = File::new("openapi: 3.1.0\nsecurity: []\npaths: { /a: { get: {} } }\n");
    for arguments in [
        &["schema"][..],
        &["mint", "--sub", "user-7"],
        &["emit", "envoy", "--config", good.path()],
        &["import", "openapi", document.path()],
        &["check", good.path(), good.path(), "--format", "text"],
        &["check", good.path(), "--format", "sarif"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
        let output = command().args(arguments).stdout(full).output().expect("the built command");
        let told = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        let errors =
            told.matches("error: the result cannot be written to standard output: No space left").count();
        assert_eq!(errors, 1, "{arguments:?}: {told}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command().args(arguments).stdout(writer).output().expect("the built command");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}
