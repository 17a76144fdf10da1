//! `api-guard completions` and `api-guard man`: what shells and `man` want to know of the command.

use clap_complete::Shell;

use crate::outcome::{self, Failure, Outcome, print};

/// Print a script that completes the command's words in a shell.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard completions bash > ~/.local/share/bash-completion/completions/api-guard
  api-guard completions zsh > ~/.zfunc/_api-guard
  api-guard completions fish > ~/.config/fish/completions/api-guard.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL", ignore_case = true)]
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub(crate) fn run(&self, mut command: clap::Command) -> outcome::Result {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "api-guard", &mut script);
        let script = String::from_utf8_lossy(&script);
        // clap_complete 4.6 takes the hyphen of the name for the border to a subcommand in one half of bash's script.
        print(&script.replace("api__subcmd__guard", "api__guard"));
        Ok(Outcome::Done)
    }
}

/// Print the manual page (roff), with every subcommand.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  api-guard man > api-guard.1 && man ./api-guard.1")]
pub(crate) struct Man {}

impl Man {
    /// Prints the page.
    pub(crate) fn run(&self, mut command: clap::Command) -> outcome::Result {
        command.build();
        let mut page = Vec::new();
        let failed = |error: std::io::Error| Failure::failed(format!("the page cannot be written: {error}"));
        clap_mangen::Man::new(command.clone()).render(&mut page).map_err(failed)?;
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            let name = format!("api-guard {}", subcommand.get_name());
            let subcommand = clap_mangen::Man::new(subcommand.clone().display_name(name));
            subcommand.render_name_section(&mut page).map_err(failed)?;
            subcommand.render_synopsis_section(&mut page).map_err(failed)?;
            subcommand.render_description_section(&mut page).map_err(failed)?;
            subcommand.render_options_section(&mut page).map_err(failed)?;
            subcommand.render_extra_section(&mut page).map_err(failed)?;
        }
        print(&String::from_utf8_lossy(&page));
        Ok(Outcome::Done)
    }
}
