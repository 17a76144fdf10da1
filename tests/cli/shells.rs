//! `api-guard completions` and `api-guard man`.

use crate::command::api_guard;

#[test]
fn every_shell_gets_completions_of_every_subcommand() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = api_guard(["completions", shell]);
        assert_eq!(run.code, 0, "{run:?}");
        for name in ["run", "keygen", "import", "--upstream"] {
            let name = if shell == "fish" { name.trim_start_matches("--") } else { name };
            assert!(run.out.contains(name), "{shell}: {name}");
        }
    }
    assert_eq!(api_guard(["completions", "PowerShell"]).code, 0);
    assert_eq!(api_guard(["completions", "command.com"]).code, 2);
}

#[test]
fn bash_completes_options_and_values_of_subcommands() {
    let script = api_guard(["completions", "bash"]).out;
    let set: Vec<&str> =
        script.lines().filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"')).collect();
    assert!(set.contains(&"api__guard__subcmd__mint"), "{script}");
    for cmd in set.into_iter().filter(|cmd| !cmd.is_empty()) {
        assert!(script.lines().any(|line| line.trim() == format!("{cmd})")), "{cmd}");
    }
}

#[test]
fn the_manual_page_has_every_subcommand_with_its_examples() {
    let run = api_guard(["man"]);
    assert_eq!(run.code, 0);
    assert!(run.out.contains(".TH api-guard 1"), "{}", run.out);
    for part in ["api\\-guard run", "api\\-guard import openapi openapi.yaml", "\\-\\-upstream"] {
        assert!(run.out.contains(part), "{part}");
    }
}
