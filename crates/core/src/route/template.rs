//! The path of a route: literal segments, `{name}` for one segment, `{*name}` for the rest.
//!
//! A template is compared with canonical paths ([`Target::path`]), so its literals are stored decoded: `/café` and
//! `/caf%C3%A9` are the same. A literal that no accepted request can contain is an error, because its route would
//! protect nothing.

use std::fmt;

use crate::request::target::{Reason, Target, TargetProblem, decode};

/// A route's path, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    written: String,
    // INVARIANT: `Rest` comes last if there is one; parameter names are unique; no literal is empty.
    segments: Vec<Segment>,
}

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text, decoded.
    Literal(String),
    /// `{name}`: any one segment.
    Parameter(String),
    /// `{*name}`: one or more segments, to the end of the path.
    Rest(String),
}

/// Why a template is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemplateError {
    /// It does not begin with `/`.
    NoLeadingSlash,
    /// Two slashes in a row.
    EmptySegment,
    /// A brace in a segment that is not wholly a parameter, such as `/a{b}`.
    BraceInLiteral,
    /// A parameter without a name, or whose name has other characters than letters, digits and `_`.
    ParameterName,
    /// Two parameters with the same name.
    DuplicateParameter,
    /// `{*name}` followed by more segments.
    RestNotLast,
    /// A `?` or `#`.
    QueryOrFragment,
    /// More than [`MAX_SEGMENTS`] segments.
    TooManySegments,
    /// A literal that no accepted request contains, and why such a request is refused.
    NeverRequested(Reason),
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

    /// The names of the parameters, from the left.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name)
    }

    /// The value of the parameter `name` in `path`, a canonical path that matches this template: a decoded segment, or
    /// for `{*name}` the rest of the path. `None` if there is no such parameter, or the path is shorter.
    pub fn parameter<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        let mut rest = path.strip_prefix('/').filter(|rest| !rest.is_empty());
        for segment in &self.segments {
            let (head, tail) = match rest?.split_once('/') {
                Some((head, tail)) => (head, Some(tail)),
                None => (rest?, None),
            };
            match segment {
                Segment::Parameter(own) if own == name => return Some(head),
                Segment::Rest(own) if own == name => return rest,
                Segment::Literal(_) | Segment::Parameter(_) | Segment::Rest(_) => rest = tail,
            }
        }
        None
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::EmptySegment);
        }
        let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
            return literal(text).map(Self::Literal);
        };
        if inner.contains(['{', '}']) {
            return Err(TemplateError::BraceInLiteral);
        }
        let (rest, name) = match inner.strip_prefix('*') {
            Some(name) => (true, name),
            None => (false, inner),
        };
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(TemplateError::ParameterName);
        }
        Ok(if rest { Self::Rest(name.to_owned()) } else { Self::Parameter(name.to_owned()) })
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }
}

impl TemplateError {
    /// What is wrong, and what to write instead.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoLeadingSlash => "does not begin with `/`: write `/orders/{id}`",
            Self::EmptySegment => "has an empty segment: write one `/` between segments",
            Self::BraceInLiteral => {
                "has a brace inside a segment: a parameter is a whole segment, as in `/orders/{id}`; \
                 write a literal brace as `%7B` or `%7D`"
            }
            Self::ParameterName => {
                "has a parameter without a proper name: write `{id}` or `{*rest}`, \
                 with letters, digits and `_`, not beginning with a digit"
            }
            Self::DuplicateParameter => "names two parameters alike: give each a name of its own",
            Self::RestNotLast => "has segments behind `{*name}`, which takes all of them: write it last",
            Self::QueryOrFragment => {
                "has a `?` or `#`, but routes do not differ by query: end the path before it, \
                 or write a literal one as `%3F` or `%23`"
            }
            Self::TooManySegments => "has more than 64 segments: end it earlier, with `{*rest}`",
            Self::NeverRequested(reason) => match reason {
                Reason::DotSegment => "has a `.` or `..` segment: write the path it leads to",
                Reason::EmptySegment => "has an empty segment: write one `/` between segments",
                Reason::Backslash => {
                    "has a backslash, which is refused in requests: write another segment or `{name}`"
                }
                Reason::EncodedSlash => {
                    "has an encoded slash, which is refused in requests: write two segments, or `{*rest}`"
                }
                Reason::Parameter => {
                    "has a `;`, which is refused in requests: leave it out together with what follows it"
                }
                Reason::DoubleEncoding => {
                    "has a `%25` before two hexadecimal digits, which is refused in requests: encode it once"
                }
                Reason::BadPercent => {
                    "has a `%` without two hexadecimal digits: write a literal one as `%25`"
                }
                Reason::Control => "has a control character, which is refused in requests: leave it out",
                Reason::NotUtf8 => "has encoded bytes that are not UTF-8: write the characters themselves",
                Reason::Fragment | Reason::EncodedUnreserved | Reason::Space | Reason::NonAscii => {
                    "has a segment that is refused in requests: write another one or `{name}`"
                }
            },
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for TemplateError {}

/// Decodes a literal segment. [`Target::read`] itself decides whether a request can contain it.
fn literal(text: &str) -> Result<String, TemplateError> {
    if text.contains(['{', '}']) {
        return Err(TemplateError::BraceInLiteral);
    }
    let decoded = decode(text).map_err(TemplateError::NeverRequested)?;
    match Target::read(encode(&decoded).as_bytes()) {
        Ok(_) => Ok(decoded),
        Err(TargetProblem::Ambiguous(reason)) => Err(TemplateError::NeverRequested(reason)),
        Err(TargetProblem::Malformed) => Err(TemplateError::NoLeadingSlash),
    }
}

/// `/` and the segment as a careful client sends it, with everything but unreserved characters encoded (RFC 3986
/// section 2.3).
fn encode(segment: &str) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase();
    let mut path = String::from("/");
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.extend(['%', digit(byte >> 4), digit(byte & 0x0F)]);
        }
    }
    path
}

#[cfg(test)]
mod tests;
