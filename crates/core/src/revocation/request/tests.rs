//! Which bodies are one request, and what is said of all others.

use api_guard_testkit::vectors::{foreign, texts};

use super::*;

fn parse(body: &str) -> Result<RevocationRequest, BodyProblem> {
    RevocationRequest::parse(body.as_bytes())
}

fn expiry(number: &str) -> Result<u64, BodyProblem> {
    let request = parse(&format!(r#"{{"jti":"j","expires_at":{number}}}"#))?;
    let RevocationRequest::Jti { expires_at, .. } = request else { panic!("{request:?}") };
    Ok(expires_at)
}

#[test]
fn nothing_but_white_space_asks_for_the_callers_own_token() {
    for body in ["", " ", "\r\n\t  "] {
        assert_eq!(parse(body), Ok(RevocationRequest::Own));
    }
    assert_eq!(parse("\u{a0}"), Err(BodyProblem::NotJson));
}

#[test]
fn each_request_is_read() {
    assert_eq!(
        parse(r#"{"token":""}"#),
        Ok(RevocationRequest::Token("".into())),
        "for the verifier to refuse"
    );
    assert_eq!(parse(r#" {"token":"a.b.c"} "#), Ok(RevocationRequest::Token("a.b.c".into())));
    assert_eq!(
        parse(r#"{"\u006ati":"\u00e9","expires_at":1800000000}"#),
        Ok(RevocationRequest::Jti { jti: "é".into(), expires_at: 1_800_000_000 })
    );
    assert_eq!(
        parse(r#"{"issued_before":0,"sub":"user-7"}"#),
        Ok(RevocationRequest::Subject { iss: None, sub: "user-7".into(), issued_before: 0 })
    );
    assert_eq!(
        parse(r#"{"issued_before":0,"iss":"https://a","sub":"user-7"}"#),
        Ok(RevocationRequest::Subject {
            iss: Some("https://a".into()),
            sub: "user-7".into(),
            issued_before: 0
        })
    );
}

#[test]
fn a_body_that_is_not_exactly_one_request_is_refused() {
    use BodyProblem::*;
    let cases = [
        ("{}", NotOneRequest),
        ("[]", NotAnObject),
        ("null", NotAnObject),
        (r#""token""#, NotAnObject),
        ("{", NotJson),
        (r#"{"token":"a"}x"#, NotJson),
        (r#"{"token":"a"}{}"#, NotJson),
        (r#"{"token":"a",}"#, NotJson),
        (r#"{"token":"\ud800"}"#, NotJson),
        ("\u{feff}{\"token\":\"a\"}", NotJson),
        (r#"{"token":"a","admin":true}"#, UnknownField),
        (r#"{"Token":"a"}"#, UnknownField),
        (r#"{"token":"a","token":"a"}"#, Repeated(Field::Token)),
        (r#"{"sub":"a","s\u0075b":"b","issued_before":1}"#, Repeated(Field::Sub)),
        (r#"{"token":"a","jti":"b","expires_at":1}"#, NotOneRequest),
        (r#"{"token":"a","expires_at":1}"#, NotOneRequest),
        (r#"{"jti":"a","issued_before":1}"#, NotOneRequest),
        (r#"{"sub":"a","issued_before":1,"expires_at":1}"#, NotOneRequest),
        (r#"{"jti":"a"}"#, Missing(Field::ExpiresAt)),
        (r#"{"expires_at":1}"#, Missing(Field::Jti)),
        (r#"{"sub":"a"}"#, Missing(Field::IssuedBefore)),
        (r#"{"issued_before":1}"#, Missing(Field::Sub)),
        (r#"{"iss":"a"}"#, NotOneRequest),
        (r#"{"iss":"a","token":"b"}"#, NotOneRequest),
        (r#"{"iss":"a","jti":"b","expires_at":1}"#, NotOneRequest),
        (r#"{"iss":"a","sub":"b"}"#, Missing(Field::IssuedBefore)),
        (r#"{"iss":"a","issued_before":1}"#, Missing(Field::Sub)),
        (r#"{"iss":"","sub":"b","issued_before":1}"#, Empty(Field::Iss)),
        (r#"{"iss":["a"],"sub":"b","issued_before":1}"#, WrongType(Field::Iss)),
        (r#"{"iss":"a","iss":"a","sub":"b","issued_before":1}"#, Repeated(Field::Iss)),
        (r#"{"token":null}"#, WrongType(Field::Token)),
        (r#"{"token":["a"]}"#, WrongType(Field::Token)),
        (r#"{"jti":7,"expires_at":1}"#, WrongType(Field::Jti)),
        (r#"{"jti":"a","expires_at":"1"}"#, WrongType(Field::ExpiresAt)),
        (r#"{"sub":"a","issued_before":null}"#, WrongType(Field::IssuedBefore)),
        (r#"{"jti":"","expires_at":1}"#, Empty(Field::Jti)),
        (r#"{"sub":"","issued_before":1}"#, Empty(Field::Sub)),
        (r#"{"sub":"a\u0000","issued_before":1}"#, SubjectHasControls),
        (r#"{"sub":"a\u0085","issued_before":1}"#, SubjectHasControls),
    ];
    for (body, problem) in cases {
        assert_eq!(parse(body), Err(problem), "{body}");
    }
    assert_eq!(RevocationRequest::parse(b"{\"token\":\"\xff\"}"), Err(NotUtf8));
}

#[test]
fn a_subject_has_at_most_256_bytes() {
    let body = |sub: String| format!(r#"{{"sub":"{sub}","issued_before":1}}"#);
    assert!(parse(&body("é".repeat(128))).is_ok());
    assert_eq!(parse(&body("é".repeat(128) + "a")), Err(BodyProblem::SubjectTooLong));
}

#[test]
fn a_body_has_at_most_16_kib() {
    let largest = format!(r#"{{"token":"{}"}}"#, "a".repeat(MAX_BODY_BYTES - 12));
    assert_eq!(largest.len(), MAX_BODY_BYTES);
    assert!(parse(&largest).is_ok());
    assert_eq!(parse(&(largest + " ")), Err(BodyProblem::TooLarge));
    assert_eq!(parse(&" ".repeat(MAX_BODY_BYTES + 1)), Err(BodyProblem::TooLarge));
}

#[test]
fn a_fraction_of_a_second_is_rounded_up() {
    for (number, seconds) in [
        ("1000", 1000),
        ("1000.0", 1000),
        ("1000.000001", 1001),
        ("1800000000.5", 1_800_000_001),
        ("1.8e9", 1_800_000_000),
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("1e-9", 1),
        ("253402300799", 253_402_300_799),
        ("253402300799.5", 253_402_300_800),
    ] {
        assert_eq!(expiry(number), Ok(seconds), "{number}");
    }
}

#[test]
fn a_date_below_zero_or_past_the_year_9999_is_refused() {
    let out_of_range = Err(BodyProblem::DateOutOfRange(Field::ExpiresAt));
    for number in ["-1", "-0.5", "-1e-300", "253402300800", "1800000000000", "18446744073709551616", "1e300"]
    {
        assert_eq!(expiry(number), out_of_range, "{number}");
    }
    assert_eq!(expiry("1e400"), Err(BodyProblem::NotJson));
    for number in ["01", "+1", "NaN", "0x10", "1."] {
        assert_eq!(expiry(number), Err(BodyProblem::NotJson), "{number}");
    }
}

#[test]
fn nesting_without_end_is_refused() {
    for name in ["token", "other"] {
        let body = format!(r#"{{"{name}":{}"#, "[".repeat(MAX_BODY_BYTES - 20));
        assert_eq!(parse(&body), Err(BodyProblem::NotJson));
    }
}

#[test]
fn a_problem_is_told_without_the_clients_words() {
    assert_eq!(parse(r#"{"<script>":1}"#).unwrap_err().to_string(), "body has an unknown field");
    assert_eq!(
        parse(r#"{"jti":"a","expires_at":"<script>"}"#).unwrap_err().to_string(),
        "field expires_at must be a number of seconds"
    );
}

#[test]
fn debug_output_does_not_show_a_token() {
    assert_eq!(format!("{:?}", parse(r#"{"token":"a.b.c"}"#)), "Ok(Token(<secret>))");
}

/// A text of white space asks for the caller's own token; no other one is a request.
fn is_no_request(body: &[u8], name: &str) {
    let parsed = RevocationRequest::parse(body);
    if body.trim_ascii().is_empty() {
        assert_eq!(parsed, Ok(RevocationRequest::Own), "{name}");
    } else {
        assert!(parsed.is_err(), "{name}");
    }
}

#[test]
fn no_json_that_is_no_request_is_taken_for_one() {
    for text in texts() {
        let start = text.bytes.get(..60).unwrap_or(&text.bytes);
        is_no_request(&text.bytes, &String::from_utf8_lossy(start));
    }
}

#[test]
fn no_text_of_the_json_test_suite_is_a_request() {
    let Some(folder) = foreign("JSONTestSuite") else { return };
    let mut texts = 0;
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|path| path.extension() == Some("json".as_ref())) {
        is_no_request(&std::fs::read(&file).unwrap(), &file.display().to_string());
        texts += 1;
    }
    assert!(texts > 300, "{texts} texts");
}
