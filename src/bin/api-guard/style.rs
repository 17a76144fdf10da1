//! Colour: as `--color` says, else only on a terminal, and not if `NO_COLOR` (no-color.org) is set.

use std::io::IsTerminal;
use std::sync::OnceLock;

/// What `--color` says.
static WANTED: OnceLock<clap::ColorChoice> = OnceLock::new();

/// Notes what `--color` says, before anything is printed.
pub(crate) fn choose(choice: clap::ColorChoice) {
    let _ = WANTED.set(choice);
}

/// How results on standard output are marked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// The style for standard output.
    pub(crate) fn of_stdout() -> Self {
        match WANTED.get() {
            Some(clap::ColorChoice::Always) => return Self { coloured: true },
            Some(clap::ColorChoice::Never) => return Self { coloured: false },
            Some(clap::ColorChoice::Auto) | None => {}
        }
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { coloured: std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb }
    }

    /// No colour.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { coloured: false }
    }

    /// Whether there is any.
    pub(crate) const fn is_coloured(self) -> bool {
        self.coloured
    }

    /// Marks what is right.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Marks what is wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31;1", text)
    }

    /// Marks what needs attention.
    pub(crate) fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Marks what matters less.
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, codes: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{codes}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
