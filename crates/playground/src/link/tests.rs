use super::*;

const SECRET: &str = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t";
/// `{"alg":"HS256"}` and claims.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTcifQ.c2lnbmF0dXJl";

fn shared(state: State) -> State {
    serde_json::from_value(without_secrets(&state)).unwrap()
}

fn configuration(text: &str) -> String {
    shared(State { configuration: text.to_owned(), ..State::default() }).configuration
}

#[test]
fn a_secret_in_the_configuration_is_replaced_however_it_is_written() {
    for text in [
        format!(r#"{{"tokens": {{"keys": [{{"secret": {{"value": "{SECRET}"}}}}]}}}}"#),
        format!(
            "{{ // {SECRET}\n\"tokens\": {{\"keys\": [{{\"secret\": {{\"base64url\": \"{SECRET}\"}}, }}]}}}}"
        ),
        format!("tokens:\n  keys:\n    - secret:\n        value: {SECRET}\n"),
        format!("tokens:\n  keys:\n    - secret: {{ value: '{SECRET}' }} # was {SECRET}\n"),
        format!("tokens:\n  keys:\n    - secret:\n        value: >-\n          {SECRET}\n      kid: a\n"),
        format!("x: &s {SECRET}\ntokens:\n  keys:\n    - secret: {{ value: *s }}\n"),
        format!(r#"{{"tokens": {{"keys": [{{"secret": {{"value": "{SECRET}"}}"#),
        format!("tokens:\n  keys: [\n  - secret:\n      value: {SECRET}\n"),
        format!(r#"{{"fleet": {{"password": {{"value": "{SECRET}"}}}}}}"#),
        format!(r#"{{"tokens": {{"keys": [{{"secret": "{SECRET}"}}], "sceret": "{SECRET}"}}}}"#),
    ] {
        let shared = configuration(&text);
        assert!(!shared.contains("s3cr3t"), "{text}\n{shared}");
        assert_eq!(text.lines().count(), shared.lines().count(), "{text}\n{shared}");
    }
}

#[test]
fn an_escaped_secret_is_replaced_too() {
    let shared = configuration(
        r#"{"tokens": {"keys": [{"secret": {"value": "\u0073ecret-\"-secret"}, "kid": "a"}]}}"#,
    );
    assert!(shared.contains(r#""}, "kid": "a"}]}}"#) && !shared.contains("ecret-"), "{shared}");
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let text = r#"{"tokens": {"keys": [{"kid": "2026-11", "secret": {"env": "API_GUARD_SECRET", "encoding": "base64"}},
        {"algorithm": "ES256", "public_key": {"jwk": {"kty": "EC", "x": "b_A7lJJBzh2t1DUZ5pYOCoW0GmmgXDKBA6orzhWUyhY"}}}]},
        "rate_limits": [{"name": "a-name-that-is-long-enough-to-be-a-secret"}]}"#;
    assert_eq!(configuration(text), text);
    assert_eq!(configuration("{ // a comment\n}"), "{ // a comment\n}");
    let state = State {
        url: "/orders/42?page=2&sort=%20name".to_owned(),
        headers: "accept: text/plain\nx-auth-subject: root".to_owned(),
        body: "{\"n\": 1}".to_owned(),
        claims: r#"{"sub": "user-7", "token_type": "access", "key": 1}"#.to_owned(),
        time: "2026-11-29T10:00:00+01:00".to_owned(),
        address: "2001:db8::1".to_owned(),
        ..State::default()
    };
    assert_eq!(shared(state.clone()), state);
}

#[test]
fn credentials_of_a_request_are_left_out() {
    let sources = r#"{"tokens": {"keys": [], "sources": [{"header": "x-who"}, {"query": "t"}]}}"#;
    let state = State {
        configuration: sources.to_owned(),
        url: format!("https://ada:hidden1@api.example.com/a/{TOKEN}/b?t=hidden2&%74=hidden3&access_token=hidden4&Api-Key=hidden5&n=1#hidden6"),
        headers: "X-Who: hidden1\nAuthorization: Bearer hidden2\nCOOKIE: a=hidden3\nx_api_key: hidden4\nproxy-authorization: hidden5\n\
                  sec-websocket-protocol: bearer, hidden6\nhidden7\naccept: a"
            .to_owned(),
        body: r#"{"token": "hidden1", "list": [{"client_secret": "hidden2"}], "n": 1}"#.to_owned(),
        claims: format!(r#"{{"sub": "a", "access_token": "hidden1", "note": "{TOKEN}"}}"#),
        key_set: r#"{"keys": [{"kty": "EC", "crv": "P-256", "d": "hidden1", "x": "shown"}, {"kty": "oct", "k": "hidden2"}]}"#.to_owned(),
        secret: "own-secret-of-the-page".to_owned(),
        token: "own-token-of-the-page".to_owned(),
        ..State::default()
    };
    let found = shared(state);
    let text = format!("{found:?}");
    assert!(!text.contains("hidden") && !text.contains("eyJ") && !text.contains("own-"), "{text}");
    assert_eq!(found.url, "https://api.example.com/a//b?n=1");
    assert_eq!(found.headers, "accept: a");
    assert!(found.body.ends_with(r#""n": 1}"#) && found.key_set.contains("shown"), "{text}");
}

#[test]
fn the_own_secret_and_token_are_nowhere_repeated() {
    let state = State {
        secret: SECRET.to_owned(),
        token: "opaque-token".to_owned(),
        body: format!("opaque-token {SECRET}"),
        headers: format!("x-a: {SECRET}"),
        url: format!("/{SECRET}"),
        ..State::default()
    };
    let text = format!("{:?}", shared(state));
    assert!(!text.contains("s3cr3t") && !text.contains("opaque"), "{text}");
}

#[test]
fn sources_count_in_a_manifest_and_in_a_configuration_with_errors() {
    let plugin = |more: &str| {
        format!(
            r#"{{"tokens": {{"keys": [{{"secret": {{"env": "S"}}}}], "sources": [{{"header": "x-who"}}, {{"query": "t"}}]}}{more}}}"#
        )
    };
    let in_text = plugin("").replace('"', "\\\"");
    for configuration in [
        plugin(r#", "routs": []"#),
        plugin(r#", "limiter_capacity": 0"#),
        plugin("").trim_end_matches('}').to_owned(),
        "tokens:\n  sources:\n  - header: x-who\n  - query: t\n  keys: ]\n".to_owned(),
        format!("apiVersion: v1\nkind: WasmPlugin\nspec:\n  pluginConfig: {}\n", plugin("")),
        format!(
            r#"{{"static_resources": {{"configuration": {{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "{in_text}"}}}}}}"#
        ),
    ] {
        let state = State {
            url: "/a?t=hidden1&n=1".to_owned(),
            headers: "X-Who: hidden2\nx_who: hidden3\naccept: a".to_owned(),
            configuration: configuration.clone(),
            ..State::default()
        };
        let found = shared(state);
        assert_eq!((found.url.as_str(), found.headers.as_str()), ("/a?n=1", "accept: a"), "{configuration}");
    }
    let key = r#"{"tokens": {"keys": []}, "rate_limits": [{"key": ["header:x-a", "header:x-b"]}]}"#;
    let headers = "x-a: 1\nx-b: 2";
    let state = State { configuration: key.to_owned(), headers: headers.to_owned(), ..State::default() };
    assert_eq!(shared(state).headers, headers);
}

#[test]
fn a_secret_of_several_lines_is_replaced_as_a_whole() {
    for value in [
        ">-\n          s3cr3t-one\n          s3cr3t-two",
        "|\n          s3cr3t-one\n\n          s3cr3t-two",
        "s3cr3t-one\n          s3cr3t-two",
        "\"s3cr3t-one\n          s3cr3t-two\"",
        "!!str s3cr3t-one\n          s3cr3t-two",
    ] {
        let text = format!("tokens:\n  keys:\n    - secret:\n        value: {value}\n      kid: a\n");
        let shared = configuration(&text);
        assert!(!shared.contains("s3cr3t") && shared.contains("kid: a"), "{text}\n{shared}");
    }
}

#[test]
fn what_cannot_be_read_has_no_secret_on_the_line_below_its_name() {
    for text in [
        "{\"fleet\": {\"password\": {\"value\":\n\n\"s3cr3t-pw\"}}",
        "fleet:\n  password:\n    value:\n      s3cr3t-pw\n ]",
    ] {
        assert!(!configuration(text).contains("s3cr3t"), "{text}");
    }
}

#[test]
fn comments_of_several_lines_have_no_secrets_and_addresses_are_no_comments() {
    let shared = configuration(&format!("{{ /* was\n {SECRET}\n{SECRET} */ \"a\\\\\": 1 // {SECRET}\n}}"));
    assert!(!shared.contains("s3cr3t"), "{shared}");
    let yaml = "tokens:\n  keys: []\n  issuers: [https://login.of-a-long-name.example.com/]\nroutes:\n- path: /files/*/a-name-that-is-long-enough\n";
    assert_eq!(configuration(yaml), yaml);
}

#[test]
fn credentials_are_left_out_wherever_they_are_usual() {
    let state = State {
        headers: "x-functions-key: hidden1\nX-Auth: hidden2\nauthentication: hidden3\ndpop: hidden4\nreferer: https://a:hidden5@b/c?access_token=hidden6&n=1\n\
                  :path: /a?token=hidden7&n=2\nidempotency-key: 7"
            .to_owned(),
        url: "/a?n=1;access_token=hidden1&pass=hidden2&n=2".to_owned(),
        body: "user=a b&password=hidden1\n".to_owned(),
        claims: "{\"password\": \"hidden1\"".to_owned(),
        key_set: "-----BEGIN EC PRIVATE KEY-----\nhidden1\n-----END EC PRIVATE KEY-----\n-----BEGIN PUBLIC KEY-----\nshown".to_owned(),
        ..State::default()
    };
    let found = shared(state);
    let text = format!("{found:?}");
    assert!(!text.contains("hidden"), "{text}");
    assert_eq!(found.headers, "referer: https://b/c?n=1\n:path: /a?n=2\nidempotency-key: 7");
    assert_eq!((found.url.as_str(), found.body.as_str()), ("/a?n=2", "user=a b"));
    assert!(found.key_set.contains("shown"), "{text}");
}
