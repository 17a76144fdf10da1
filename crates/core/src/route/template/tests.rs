use proptest::prelude::*;

use super::segment::encode;
use super::*;
use crate::request::target::{Reason, Target};

fn parse(text: &str) -> Template {
    Template::parse(text).unwrap_or_else(|problem| panic!("{text} {problem}"))
}

#[test]
fn literals_mean_the_same_however_they_are_written() {
    for (one, other) in [
        ("/café", "/caf%C3%A9"),
        ("/café", "/caf%c3%a9"),
        ("/a b", "/a%20b"),
        ("/admin", "/%61dmin"),
        ("/a@b", "/a%40b"),
        ("/a/", "/a"),
        ("/100%25", "/100%25/"),
    ] {
        assert_eq!(parse(one).segments(), parse(other).segments());
    }
    assert_eq!(parse("/").segments(), []);
    assert_eq!(parse("/%7Bid%7D").segments(), [Segment::Literal("{id}".into())]);
    assert_eq!(
        parse("/%2A/a:b/%5B%28%7C").segments(),
        ["*", "a:b", "[(|"].map(|text| Segment::Literal(text.into()))
    );
    assert_eq!(parse("/a%3Fb").segments(), [Segment::Literal("a?b".into())]);
    assert_eq!(parse("/.../.a").segments().len(), 2);
    assert_eq!(parse("/caf%C3%A9/{x}/").to_string(), "/caf%C3%A9/{x}/");
}

#[test]
fn a_refused_template_says_what_to_write() {
    use TemplateError::*;
    for (text, error) in [
        ("", NoLeadingSlash),
        ("a", NoLeadingSlash),
        ("{id}", NoLeadingSlash),
        ("//", EmptySegment),
        ("//a", EmptySegment),
        ("/a//b", EmptySegment),
        ("/a//", EmptySegment),
        ("/{a}{b}", TwoParameters),
        ("/{a}-{b}", TwoParameters),
        ("/x{a}.{b}y", TwoParameters),
        ("/a{*b}", RestNotAlone),
        ("/{*b}.json", RestNotAlone),
        ("/{{a}}", BraceInLiteral),
        ("/a{b}}", BraceInLiteral),
        ("/a{b}c{", BraceInLiteral),
        ("/a{}", ParameterName),
        ("/a{1}", ParameterName),
        ("/{a}/v{a}", DuplicateParameter),
        ("/{a};b", NeverRequested(Reason::Parameter)),
        ("/{a}%2Fb", NeverRequested(Reason::EncodedSlash)),
        ("/a%2{b}", NeverRequested(Reason::BadPercent)),
        ("/a\\{b}", NeverRequested(Reason::Backslash)),
        ("/{a", BraceInLiteral),
        ("/a}", BraceInLiteral),
        ("/{", BraceInLiteral),
        ("/{}", ParameterName),
        ("/{*}", ParameterName),
        ("/{1a}", ParameterName),
        ("/{a-b}", ParameterName),
        ("/{é}", ParameterName),
        ("/{a*}", ParameterName),
        ("/{**a}", ParameterName),
        ("/{a}/{a}", DuplicateParameter),
        ("/{a}/b/{*a}", DuplicateParameter),
        ("/{*a}/b", RestNotLast),
        ("/{*a}/{*b}", RestNotLast),
        ("/admin/*", Star),
        ("/admin/**", Star),
        ("/*", Star),
        ("/files/*.json", Star),
        ("/a*b/c", Star),
        ("/things/:id", Colon),
        ("/:id/parts", Colon),
        ("/:", Colon),
        ("/{id:[0-9]+}", ParameterPattern),
        ("/{id:int}", ParameterPattern),
        ("/{rest:.*}", ParameterPattern),
        ("/{id:[^/]+}/x", ParameterPattern),
        ("/orders/[0-9]+", Expression),
        ("/orders/(a)", Expression),
        ("/a|b", Expression),
        ("/^a", Expression),
        ("/a$", Expression),
        ("/<int:id>", Expression),
        ("/orders/:id?", QueryOrFragment),
        ("/a?b", QueryOrFragment),
        ("/a#b", QueryOrFragment),
        ("/.", NeverRequested(Reason::DotSegment)),
        ("/a/../b", NeverRequested(Reason::DotSegment)),
        ("/%2e%2E", NeverRequested(Reason::DotSegment)),
        ("/a\\b", NeverRequested(Reason::Backslash)),
        ("/a%5cb", NeverRequested(Reason::Backslash)),
        ("/a%2Fb", NeverRequested(Reason::EncodedSlash)),
        ("/a;b", NeverRequested(Reason::Parameter)),
        ("/a%3Bb", NeverRequested(Reason::Parameter)),
        ("/%2541", NeverRequested(Reason::DoubleEncoding)),
        ("/100%", NeverRequested(Reason::BadPercent)),
        ("/%zz", NeverRequested(Reason::BadPercent)),
        ("/a\n", NeverRequested(Reason::Control)),
        ("/a%00", NeverRequested(Reason::Control)),
        ("/a\u{85}", NeverRequested(Reason::Control)),
        ("/%ff", NeverRequested(Reason::NotUtf8)),
    ] {
        assert_eq!(Template::parse(text), Err(error), "{text:?}");
        assert!(error.text().contains(": "), "{error:?} says what to write");
    }
    assert!(Template::parse(&"/a".repeat(MAX_SEGMENTS)).is_ok());
    assert_eq!(Template::parse(&"/a".repeat(MAX_SEGMENTS).replacen('a', "a/a", 1)), Err(TooManySegments));
    assert!(TooManySegments.text().contains(&MAX_SEGMENTS.to_string()));
}

#[test]
fn a_parameter_may_have_literals_beside_it() {
    for (text, before, behind, path, value) in [
        ("/{id}:cancel", "", ":cancel", "/42:cancel", "42"),
        ("/{id}.json", "", ".json", "/a.json.json", "a.json"),
        ("/v{n}", "v", "", "/v1", "1"),
        ("/a%20{x}%C3%A9", "a ", "é", "/a é é", "é "),
        ("/.{x}.", ".", ".", "/...", "."),
    ] {
        let template = parse(text);
        let [Segment::Affixed(affixed)] = template.segments() else { panic!("{text}") };
        assert_eq!((affixed.before(), affixed.behind()), (before, behind), "{text}");
        let name = template.parameters().next().unwrap_or_default();
        assert_eq!(template.parameter(path, name), Some(value), "{text}");
    }
}

#[test]
fn a_literal_beside_a_parameter_is_sent_as_it_is_where_a_path_can_have_it() {
    for (text, sent, misspelt) in [
        ("/o/{id}:cancel", "/o/42:cancel", false),
        ("/o/{id}:cancel", "/o/42%3Acancel", true),
        ("/o/{id}:cancel", "/o/%3A:cancel", false),
        ("/o/{id}:cancel", "/o/%3A%3acancel", true),
        ("/o/@{id}", "/o/%40me", true),
        ("/o/@{id}", "/o/@%40", false),
        ("/o/{id} é", "/o/42%20%C3%A9", false),
        ("/o/{a}:b/{c}", "/o/1%3Ab/x", true),
        ("/o/{a}:b/{c}", "/o/1:b/x%3Ab", false),
    ] {
        assert_eq!(parse(text).is_misspelt(sent), misspelt, "{text} {sent}");
    }
}

#[test]
fn parameters_have_the_decoded_value_of_their_segment() {
    let template = parse("/users/{id}/{_B1}/{*rest}");
    let target = Target::read(b"/users/a%40b/c/d%20e/f/").unwrap();
    assert_eq!(template.parameter(target.path(), "id"), Some("a@b"));
    assert_eq!(template.parameter(target.path(), "_B1"), Some("c"));
    assert_eq!(template.parameter(target.path(), "rest"), Some("d e/f"));
    assert_eq!(template.parameter(target.path(), "users"), None);
    assert_eq!(template.parameters().collect::<Vec<_>>(), ["id", "_B1", "rest"]);
    for path in ["/", "/users", "", "users/a"] {
        assert_eq!(template.parameter(path, "rest"), None, "{path}");
    }
}

proptest! {
    #[test]
    fn a_literal_is_accepted_just_where_a_request_can_have_it(text in "[a%25.;/é@ \\\\\u{85}]{1,8}") {
        let sent = format!("/{}", encode(&text).trim_start_matches('/'));
        let arrives = Target::read(sent.as_bytes()).is_ok_and(|target| target.path() == format!("/{text}"));
        let written = format!("/{}", text.replace('%', "%25"));
        let literal = Template::parse(&written).is_ok_and(|it| it.segments() == [Segment::Literal(text.clone())]);
        prop_assert_eq!(arrives, literal);
    }
}
