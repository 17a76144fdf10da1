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
fn the_manual_page_has_every_subcommand_with_its_examples() {
    let run = api_guard(["man"]);
    assert_eq!(run.code, 0);
    assert!(run.out.contains(".TH api-guard 1"), "{}", run.out);
    for part in ["api\\-guard run", "api\\-guard import openapi openapi.yaml", "\\-\\-upstream"] {
        assert!(run.out.contains(part), "{part}");
    }
}
