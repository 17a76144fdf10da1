//! What does one segment of a route's path take?

use super::TemplateError;
use crate::request::target::{Target, TargetProblem, decode};

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text, decoded.
    Literal(String),
    /// `{name}`: any one segment.
    Parameter(String),
    /// `{*name}`: all segments to the end of the path, which may be none.
    Rest(String),
}

impl Segment {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::EmptySegment);
        }
        if let Some(error) = foreign(text) {
            return Err(error);
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

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }
}

/// The error of a segment that means something in the route patterns of other programs: as a literal it would match no
/// request, so that its route would protect nothing.
fn foreign(text: &str) -> Option<TemplateError> {
    let mut is_inside = false;
    if text.starts_with(':') {
        return Some(TemplateError::Colon);
    }
    text.chars().find_map(|char| {
        match char {
            '{' => is_inside = true,
            '}' => is_inside = false,
            ':' if is_inside => return Some(TemplateError::ParameterPattern),
            '*' if !is_inside => return Some(TemplateError::Star),
            '[' | ']' | '(' | ')' | '^' | '$' | '|' | '<' | '>' => return Some(TemplateError::Expression),
            _ => {}
        }
        None
    })
}

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
pub(super) fn encode(segment: &str) -> String {
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
