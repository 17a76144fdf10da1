//! What `check` says of `tokens.sources`.

use serde_json::json;

use super::told;
use crate::files::config;

#[test]
fn a_wrong_source_is_told_with_what_is_wrong_in_it() {
    let bearer = json!({ "header": "authorization", "scheme": "Bearer" });
    let websocket = json!({ "websocket_protocol": "bearer" });
    for (sources, pointer, message) in [
        (
            json!([{ "header": "authorization", "scheme": "Bearer token" }]),
            "/tokens/sources/0/scheme",
            "\"Bearer token\": not an authentication scheme; write one word, such as \"Bearer\"",
        ),
        (
            json!([{ "header": "authorization", "scheme": "" }]),
            "/tokens/sources/0/scheme",
            "\"\": an empty scheme; write one word, such as \"Bearer\", or remove it, where the token is all of the header",
        ),
        (
            json!([{ "cookie": "session", "scheme": "Bearer" }]),
            "/tokens/sources/0",
            "\"scheme\" beside \"cookie\"; remove \"scheme\": only the token of a header stands behind one",
        ),
        (
            json!([{ "header": "x-token", "cookie": "session", "query": null }]),
            "/tokens/sources/0",
            "\"header\" and \"cookie\" in one source; write a source for each: {\"header\": ...}, {\"cookie\": ...}",
        ),
        (
            json!([{ "cookie": "a" }, bearer, { "header": "Authorization", "scheme": "Token" }]),
            "/tokens/sources/2",
            "the header \"Authorization\" is read by /tokens/sources/1 with the scheme \"Bearer\", and here with the scheme \"Token\"; \
             remove one of them: a header is read with one scheme, or with none",
        ),
        (
            json!([bearer, { "header": "authorization" }]),
            "/tokens/sources/1",
            "the header \"authorization\" is read by /tokens/sources/0 with the scheme \"Bearer\", and here with no scheme; remove one \
             of them: a header is read with one scheme, or with none",
        ),
        (
            json!([bearer, bearer]),
            "/tokens/sources/1",
            "/tokens/sources/0 reads the header \"authorization\" already; remove one of them",
        ),
        (
            json!([websocket, { "header": "sec-websocket-protocol" }]),
            "/tokens/sources/1",
            "/tokens/sources/0 reads the header sec-websocket-protocol already; remove one of them",
        ),
        (
            json!([{ "cookie": "a" }, { "cookie": "a" }]),
            "/tokens/sources/1",
            "/tokens/sources/0 reads the same already; remove one of them",
        ),
        (
            json!([{ "scheme": "Bearer" }]),
            "/tokens/sources/0",
            "not exactly one source of tokens; write one of {\"header\": ..., \"scheme\": ...}, {\"cookie\": ...}, {\"query\": ...}, \
             {\"websocket_protocol\": ...}",
        ),
    ] {
        let findings = told(config(json!({ "tokens": { "sources": sources } })).to_string());
        let error = findings.iter().find(|told| told.severity == "error").expect("an error");
        assert_eq!((error.pointer.as_str(), error.message.as_str()), (pointer, message));
    }
}
