//! The path of a route: literal segments, `{name}` for one segment or a part of one, `{*name}` for the rest.
//!
//! A template is compared with canonical paths ([`crate::request::target::Target::path`]), so its literals are stored decoded: `/café` and
//! `/caf%C3%A9` are the same. A literal that no accepted request can contain is an error, because its route would
//! protect nothing.

mod error;
mod segment;

use std::fmt;

use crate::request::target::{Lifts, has_good_pieces};

pub use error::TemplateError;
pub use segment::{Affixed, Segment};

/// A route's path, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    written: String,
    // INVARIANT: `Rest` comes last if there is one; parameter names are unique; no literal is empty.
    segments: Vec<Segment>,
}

/// The most segments that a template can have. The search recurses once per segment, so this bounds its stack.
pub const MAX_SEGMENTS: usize = 64;

impl Template {
    /// Parses a template as an operator writes it. A trailing slash is ignored.
    ///
    /// # Errors
    ///
    /// The first problem found.
    pub fn parse(written: &str) -> Result<Self, TemplateError> {
        let path = written.strip_prefix('/').ok_or(TemplateError::NoLeadingSlash)?;
        if written.contains(['?', '#']) {
            return Err(TemplateError::QueryOrFragment);
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments: Vec<Segment> = Vec::new();
        // `//` also leaves an empty path here, but it is not the root.
        if !path.is_empty() || written.len() > 1 {
            for text in path.split('/') {
                if matches!(segments.last(), Some(Segment::Rest(_))) {
                    return Err(TemplateError::RestNotLast);
                }
                let segment = Segment::parse(text)?;
                if segment.name().is_some() && segments.iter().any(|seen| seen.name() == segment.name()) {
                    return Err(TemplateError::DuplicateParameter);
                }
                segments.push(segment);
            }
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(TemplateError::TooManySegments);
        }
        Ok(Self { written: written.to_owned(), segments })
    }

    /// The segments, from the left; none for the root.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The one path that a template without parameters matches.
    pub(crate) fn literal_path(&self) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            if let Segment::Literal(literal) = segment {
                path.push_str(literal);
            }
        }
        if path.is_empty() { "/".to_owned() } else { path }
    }

    /// The names of the parameters, from the left.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// The value of the parameter `name` in `path`, a canonical path that matches this template: a decoded segment, or
    /// for `{*name}` the rest of the path. `None` if there is no such parameter, or nothing is left for it.
    pub fn parameter<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        let mut rest = path.strip_prefix('/').filter(|rest| !rest.is_empty());
        for segment in &self.segments {
            let (head, tail) = match rest?.split_once('/') {
                Some((head, tail)) => (head, Some(tail)),
                None => (rest?, None),
            };
            match segment {
                Segment::Parameter(own) if own == name => return Some(head),
                Segment::Affixed(affixed) if segment.name() == Some(name) => return affixed.value(head),
                Segment::Rest(own) if own == name => return rest,
                Segment::Literal(_) | Segment::Affixed(_) | Segment::Parameter(_) | Segment::Rest(_) => {
                    rest = tail;
                }
            }
        }
        None
    }

    /// Whether only parameters take segments of `path`, which matches this template, that need something, and `allowed`
    /// has all of it. `lifts`: what each segment needs.
    pub(crate) fn permits(&self, path: &str, lifts: &[Lifts], allowed: Lifts) -> bool {
        let mut sent = path.split('/').skip(1).zip(lifts).enumerate();
        sent.all(|(index, (sent, lifts))| {
            let is_good = match self.segments.get(index) {
                Some(Segment::Literal(_)) => lifts.is_none(),
                // `v..%2Fa` has no piece that is `..`, and what `v{id}` takes of it has.
                Some(Segment::Affixed(affixed)) if lifts.encoded_slash => {
                    affixed.value(sent).is_some_and(has_good_pieces)
                }
                // Behind the last segment there is only what a rest takes.
                Some(Segment::Affixed(_) | Segment::Parameter(_) | Segment::Rest(_)) | None => true,
            };
            is_good && lifts.are_within(allowed)
        })
    }

    /// `path`, which matches this template whatever the case of literals, with its literals in lower case.
    pub(crate) fn with_lower_literals(&self, path: &str) -> String {
        let mut lowered = String::with_capacity(path.len());
        for (index, sent) in path.split('/').skip(1).enumerate() {
            lowered.push('/');
            match self.segments.get(index) {
                Some(Segment::Literal(_)) => lowered.push_str(&sent.to_ascii_lowercase()),
                Some(Segment::Affixed(affixed)) => {
                    let value = affixed.value(sent).unwrap_or(sent);
                    let [before, behind] = [affixed.before(), affixed.behind()].map(str::to_ascii_lowercase);
                    lowered.push_str(&[before.as_str(), value, behind.as_str()].concat());
                }
                Some(Segment::Parameter(_) | Segment::Rest(_)) | None => lowered.push_str(sent),
            }
        }
        lowered
    }

    /// Whether a parameter has a literal beside it.
    pub(super) fn has_affixes(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Affixed(_)))
    }

    /// Whether `sent`, a path as it was sent that matches this template once it is decoded, matches it only then: it has
    /// a literal beside a parameter percent-encoded.
    pub(super) fn is_misspelt(&self, sent: &str) -> bool {
        self.segments.iter().zip(sent.split('/').skip(1)).any(|(segment, sent)| match segment {
            Segment::Affixed(affixed) => affixed.is_misspelt(sent),
            Segment::Literal(_) | Segment::Parameter(_) | Segment::Rest(_) => false,
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests;
