//! Colour, on a terminal only, and not where `NO_COLOR` (no-color.org) asks for none.

use std::io::IsTerminal;

/// How results on standard output are marked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// What standard output can show.
    pub(crate) fn of_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { coloured: std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb }
    }

    /// What is right.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What is wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31;1", text)
    }

    /// What needs a second look.
    pub(crate) fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What matters less.
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, codes: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{codes}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
