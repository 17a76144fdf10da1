//! What does one segment of a route's path take?

use super::TemplateError;
use crate::request::target::{Target, TargetProblem, decode, units};

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text, decoded.
    Literal(String),
    /// `{name}` with a literal before or behind it, such as `{id}:cancel` or `v{n}`.
    Affixed(Affixed),
    /// `{name}`: any one segment.
    Parameter(String),
    /// `{*name}`: all segments to the end of the path, which may be none.
    Rest(String),
}

/// A parameter with a literal before it, behind it, or both. It is never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affixed {
    before: String,
    name: String,
    behind: String,
}

impl Segment {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::EmptySegment);
        }
        if let Some(error) = foreign(text) {
            return Err(error);
        }
        let Some((before, name)) = text.split_once('{') else { return literal(text).map(Self::Literal) };
        let (name, behind) = name.split_once('}').ok_or(TemplateError::BraceInLiteral)?;
        if behind.contains('{') && behind.contains('}') {
            return Err(TemplateError::TwoParameters);
        }
        if [before, name, behind].iter().any(|part| part.contains(['{', '}'])) {
            return Err(TemplateError::BraceInLiteral);
        }
        let is_alone = before.is_empty() && behind.is_empty();
        match (name.strip_prefix('*'), is_alone) {
            (Some(name), true) => parameter_name(name).map(Self::Rest),
            (Some(_), false) => Err(TemplateError::RestNotAlone),
            (None, true) => parameter_name(name).map(Self::Parameter),
            (None, false) => {
                let name = parameter_name(name)?;
                let [before, behind] = [before, behind].map(decode);
                let before = before.map_err(TemplateError::NeverRequested)?;
                let behind = behind.map_err(TemplateError::NeverRequested)?;
                // A request has some text for the parameter.
                requested(&[before.as_str(), "x", behind.as_str()].concat())?;
                Ok(Self::Affixed(Affixed { before, name, behind }))
            }
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) | Self::Affixed(Affixed { name, .. }) => Some(name),
        }
    }
}

impl Affixed {
    /// The literal before the parameter, decoded.
    pub fn before(&self) -> &str {
        &self.before
    }

    /// The literal behind the parameter, decoded.
    pub fn behind(&self) -> &str {
        &self.behind
    }

    /// The parameter's value in a decoded segment that fits.
    pub(super) fn value<'s>(&self, segment: &'s str) -> Option<&'s str> {
        segment.get(self.before.len()..segment.len().checked_sub(self.behind.len())?)
    }

    /// Whether `sent`, which fits once it is decoded, has a character of a literal percent-encoded that a path can have
    /// as it is (RFC 3986 section 3.3). Whoever takes the segment apart before decoding it finds no literal there.
    pub(super) fn is_misspelt(&self, sent: &str) -> bool {
        let behind_from = units(sent).count().saturating_sub(self.behind.len());
        units(sent)
            .enumerate()
            .filter(|(index, _)| *index < self.before.len() || *index >= behind_from)
            .any(|(_, unit)| unit.is_encoded && unit.is_pchar())
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

fn parameter_name(name: &str) -> Result<String, TemplateError> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts_well && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        Ok(name.to_owned())
    } else {
        Err(TemplateError::ParameterName)
    }
}

/// Decodes a literal segment.
fn literal(text: &str) -> Result<String, TemplateError> {
    if text.contains('}') {
        return Err(TemplateError::BraceInLiteral);
    }
    let decoded = decode(text).map_err(TemplateError::NeverRequested)?;
    requested(&decoded).map(|()| decoded)
}

/// Whether a request can have this segment: [`Target::read`] itself decides.
fn requested(segment: &str) -> Result<(), TemplateError> {
    match Target::read(encode(segment).as_bytes()) {
        Ok(_) => Ok(()),
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
