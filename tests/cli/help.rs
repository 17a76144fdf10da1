//! Help and version.

use crate::command::api_guard;

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
