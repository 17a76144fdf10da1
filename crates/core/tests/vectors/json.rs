//! JSON in a token: what is a value, and what only looks like one, is judged alike wherever it stands.

use api_guard_testkit::vectors::{Reading, foreign, texts};
use api_guard_testkit::{Guarded, sign};

use super::{NOW, Refused, judge, own_guarded};

/// A text as a claim that nobody reads, as one that is read, in the header, and as the whole payload.
fn compare(guarded: &mut Guarded, name: &str, text: &[u8], reading: Option<Reading>) {
    let header = br#"{"alg":"HS256"}"#;
    let mut judge = |header: &[u8], payload: &[u8]| judge(guarded, sign(header, payload).as_bytes(), NOW);
    let unread = judge(header, &[br#"{"sub":"a","x":"#, text, b"}"].concat());
    let read = judge(header, &[br#"{"sub":"a","permissions":"#, text, b"}"].concat());
    let whole = judge(header, text);
    let in_header = judge(&[br#"{"alg":"HS256","x":"#, text, b"}"].concat(), br#"{"sub":"a"}"#);
    match reading {
        Some(Reading::Value) => {
            assert_eq!(unread, Ok(()), "{name}");
            assert_eq!(in_header, Ok(()), "{name}");
        }
        Some(Reading::Nothing) => {
            assert_eq!(unread.as_ref().unwrap_err().status, 401, "{name}");
            assert_eq!(read.as_ref().unwrap_err().status, 401, "{name}");
            assert_eq!(in_header.as_ref().unwrap_err().status, 401, "{name}");
        }
        Some(Reading::Either) | None => {
            // Either way, but the same: as a claim that nobody reads, as one that is read, and in the header.
            let is_json = |verdict: &Result<(), Refused>| match verdict {
                Ok(()) => true,
                Err(refused) => refused.code != "token_malformed",
            };
            assert_eq!(is_json(&unread), is_json(&read), "{name}");
            assert_eq!(is_json(&unread), is_json(&in_header), "{name}");
        }
    }
    assert_eq!(whole.unwrap_err().status, 401, "{name}");
}

#[test]
fn a_text_of_ours_is_read_alike_wherever_it_stands() {
    let mut guarded = own_guarded();
    for text in texts() {
        let start = text.bytes.get(..60).unwrap_or(&text.bytes);
        compare(&mut guarded, &String::from_utf8_lossy(start), &text.bytes, Some(text.reading));
    }
}

#[test]
fn json_is_read_alike_wherever_it_stands() {
    let Some(folder) = foreign("JSONTestSuite") else { return };
    let mut guarded = own_guarded();
    let mut judged = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        // Documents that end a string or an object early make something else of what stands around them.
        let breaks_out =
            ["n_structure_object_with_trailing_garbage", "n_structure_object_followed_by_closing_object"];
        let reading = match name.get(..1) {
            Some("y") => Some(Reading::Value),
            Some("n") if !breaks_out.iter().any(|start| name.starts_with(start)) => Some(Reading::Nothing),
            _ => None,
        };
        compare(&mut guarded, &name, &std::fs::read(&path).unwrap(), reading);
        judged += 1;
    }
    assert!(judged > 300, "{judged}");
}
