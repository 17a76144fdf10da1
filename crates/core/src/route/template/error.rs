//! What can be wrong with the path of a route, and what should be written instead?

use std::fmt;

use crate::request::target::Reason;

/// Why a template is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemplateError {
    /// It does not begin with `/`.
    NoLeadingSlash,
    /// Two slashes in a row.
    EmptySegment,
    /// A `*` that is not in `{*name}`.
    Star,
    /// A segment that begins with `:`.
    Colon,
    /// A character of regular expressions or of other programs' patterns: one of `[ ] ( ) ^ $ | < >`.
    Expression,
    /// `{name:pattern}`.
    ParameterPattern,
    /// Two parameters in one segment.
    TwoParameters,
    /// `{*name}` with a literal beside it.
    RestNotAlone,
    /// A brace without its counterpart.
    BraceInLiteral,
    /// A parameter without a name, or whose name has other characters than letters, digits and `_`.
    ParameterName,
    /// Two parameters with the same name.
    DuplicateParameter,
    /// `{*name}` followed by more segments.
    RestNotLast,
    /// A `?` or `#`.
    QueryOrFragment,
    /// More than [`super::MAX_SEGMENTS`] segments.
    TooManySegments,
    /// A literal that no accepted request contains, and why such a request is refused.
    NeverRequested(Reason),
}

impl TemplateError {
    /// What is wrong, and what to write instead.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoLeadingSlash => "does not begin with `/`: write `/orders/{id}`",
            Self::EmptySegment => "has an empty segment: write one `/` between segments",
            Self::Star => {
                "has a `*`, which is no pattern here: write `{name}` for one segment, `{*rest}` for the rest of \
                 the path, or a literal star as `%2A`"
            }
            Self::Colon => {
                "has a segment that begins with `:`, which names no parameter here: write `{id}` instead of `:id`, \
                 or a literal colon as `%3A`"
            }
            Self::Expression => {
                "has one of `[ ] ( ) ^ $ | < >`, but is no regular expression: write `{id}` for one segment, \
                 `{*rest}` for the rest, or the literal character percent-encoded, such as `%28` for `(`"
            }
            Self::ParameterPattern => {
                "has a pattern inside a parameter, which takes any segment: write the name alone, `{id}` instead of \
                 `{id:...}`, or `{*rest}` for several segments"
            }
            Self::TwoParameters => {
                "has two parameters in a segment, which can be told apart in several ways: write one, such as \
                 `{id}:cancel` or `{name}.json`"
            }
            Self::RestNotAlone => {
                "has a literal beside `{*rest}`, which takes whole segments: write it alone, or `{name}` with the \
                 literal beside it"
            }
            Self::BraceInLiteral => {
                "has a brace without its counterpart: write a parameter as `{id}`, \
                 or a literal brace as `%7B` or `%7D`"
            }
            Self::ParameterName => {
                "has a parameter without a proper name: write `{id}` or `{*rest}`, \
                 with letters, digits and `_`, not beginning with a digit"
            }
            Self::DuplicateParameter => "names two parameters alike: give each a name of its own",
            Self::RestNotLast => "has segments behind `{*name}`, which takes all of them: write it last",
            Self::QueryOrFragment => {
                "has a `?` or `#`, but routes do not differ by query and no segment is optional: end the path \
                 before it, write a route for each form, or write a literal one as `%3F` or `%23`"
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
                Reason::Fragment
                | Reason::EncodedUnreserved
                | Reason::Space
                | Reason::NonAscii
                | Reason::EncodedLiteral
                | Reason::OtherRoute => {
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
