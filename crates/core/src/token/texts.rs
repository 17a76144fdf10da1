//! Texts of one token, one behind the other in memory that the next token can use again.

/// Memory that passes from one token to the next, bytes.
const MOST_KEPT: usize = 1024;

/// The texts.
#[derive(Debug, Default)]
pub(super) struct Texts(String);

/// The place of one of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

impl Texts {
    /// Takes the memory of `others`, if there is none here; they are forgotten then. Much of it is not worth keeping:
    /// who gets it next may need little and be remembered for long.
    pub(super) fn take_memory(&mut self, others: &mut Self) {
        if self.0.capacity() == 0 && others.0.capacity() <= MOST_KEPT {
            *self = std::mem::take(others);
        }
    }

    /// Forgets all of them. Their memory stays.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Bytes of all of them.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a text.
    pub(super) fn add(&mut self, text: &str) -> Span {
        let start = self.0.len();
        self.0.push_str(text);
        self.since(start)
    }

    /// Adds a word to the text that begins at `start`, with a space before all but the first.
    pub(super) fn add_word(&mut self, word: &str, start: usize) -> Span {
        if self.0.len() > start {
            self.0.push(' ');
        }
        self.add(word)
    }

    /// What was added since there were `start` bytes.
    pub(super) fn since(&self, start: usize) -> Span {
        Span { start, end: self.0.len() }
    }

    /// The text there: of these texts, or it is any or none.
    pub(super) fn get(&self, span: Span) -> &str {
        self.0.get(span.start..span.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_where_it_was_put() {
        let mut texts = Texts::default();
        for _ in 0..2 {
            let (a, b) = (texts.add("a\u{e9}"), texts.add(""));
            let start = texts.len();
            let words = ["x:y", "z:z"].map(|word| texts.add_word(word, start));
            assert_eq!([a, b, texts.since(start)].map(|span| texts.get(span)), ["a\u{e9}", "", "x:y z:z"]);
            assert_eq!(words.map(|span| texts.get(span)), ["x:y", "z:z"]);
            texts.clear();
            assert_eq!((texts.len(), texts.get(a)), (0, ""));
        }
    }

    #[test]
    fn little_memory_is_taken_where_there_is_none() {
        let of = |bytes: usize| Texts("x".repeat(bytes));
        for (own, other, taken) in
            [(0, 10, true), (0, MOST_KEPT, true), (0, MOST_KEPT + 1, false), (1, 10, false)]
        {
            let (mut texts, mut others) = (of(own), of(other));
            texts.take_memory(&mut others);
            assert_eq!(others.len(), if taken { 0 } else { other }, "{own} {other}");
            assert_eq!(texts.len(), if taken { other } else { own }, "{own} {other}");
        }
    }
}
