//! Files of `--jwks` that are no key set, or that stand for none.

use serde_json::{Value, json};

use super::{config, inspect, key_file, mint, pem};
use crate::files::File;

#[test]
fn what_a_file_is_that_is_no_key_set_is_told_with_what_to_do() {
    let token = mint(&["--key", &key_file("rsa.jwk.json")]);
    let config = config(json!(["RS256"]));
    let private: Value = serde_json::from_str(&pem("rsa.jwk.json")).expect("JSON");
    let secret = private["d"].as_str().expect("a text").to_owned();
    let mut public = private.clone();
    public
        .as_object_mut()
        .expect("an object")
        .retain(|name, _| ["kty", "kid", "n", "e"].contains(&name.as_str()));
    let address = "https://login.example.com/keys";
    let long = format!("https://{}", "a".repeat(30_000));
    let cut = format!("save \"https://{}\"…", "a".repeat(248));
    for (content, part) in [
        (String::new(), "it is empty; save the issuer's key set"),
        ("<!doctype html>".to_owned(), "a page of HTML or XML, not JSON; save the issuer's key set"),
        (pem("public.pem"), "PEM, not JSON; save"),
        ("{\"keys\": [}".to_owned(), "not JSON: expected value at line 1 column 11; save"),
        (
            format!("\u{feff}{}", pem("jwks.json")),
            "a byte order mark, which no guard takes; save it as UTF-8 without one",
        ),
        (json!({ "a": 1 }).to_string(), "it has no \"keys\"; save"),
        (json!({ "keys": {} }).to_string(), "its \"keys\" are no list"),
        ("{\"keys\": [], \"keys\": []}".to_owned(), "its \"keys\" stand twice"),
        (
            json!({ "issuer": "a", "jwks_uri": address }).to_string(),
            "which names the key set; save \"https://login.example.com/keys\"",
        ),
        (json!({ "issuer": "a", "jwks_uri": long }).to_string(), &cut),
        (json!({ "a": "-----BEGIN CERTIFICATE-----\n" }).to_string(), "certificates by their kid"),
        (public.to_string(), "a single key, not a set; write {\"keys\": [KEY]}"),
        (private.to_string(), "a single private key; take its private members out: d, and of RSA p, q,"),
        (json!([public]).to_string(), "a list of keys, not a set; write {\"keys\": [...]} around it"),
        (json!({ "kty": "oct", "k": secret }).to_string(), "a shared secret, which no key set has"),
        (json!("a").to_string(), "not an object; save"),
    ] {
        let file = File::new(&content);
        let run = inspect(token.line(), &config, &["--jwks", file.path()]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{content}: {run:?}");
        assert!(
            run.err.contains(&format!("{}: ", file.path())) && run.err.contains(part),
            "{part:?}: {run:?}"
        );
        assert!(!run.err.contains(&secret), "{run:?}");
    }
    let file = File::new([0xff, 0xfe, b'{', 0]);
    let run = inspect(token.line(), &config, &["--jwks", file.path()]);
    assert!(run.err.contains("not UTF-8, as JSON has to be; save it as UTF-8"), "{run:?}");
    let file = File::new(json!({ "keys": [private] }).to_string());
    let run = inspect(token.line(), &config, &["--jwks", file.path()]);
    assert!(
        run.err
            .contains("/keys/0 is not used by login: members of a private key; take its private members out"),
        "{run:?}"
    );
    assert!(!format!("{run:?}").contains(&secret), "{run:?}");
}

#[test]
fn a_file_for_a_set_that_is_not_fetched_is_told_with_those_that_are() {
    let token = mint(&["--key", &key_file("rsa.jwk.json")]);
    let mut config = config(json!(["RS256", "ES256"]));
    let mut inline = config["tokens"]["key_sets"][0].clone();
    inline["name"] = json!("own");
    inline["issuers"] = json!(["https://own.example.com/"]);
    let set: Value = serde_json::from_str(&pem("jwks.json")).expect("JSON");
    inline["jwks"] = json!({ "inline": { "keys": [set["keys"][0], set["keys"][1]] } });
    config["tokens"]["key_sets"].as_array_mut().expect("a list").push(inline);
    let jwks = key_file("jwks.json");
    for (name, part) in [
        ("nosuch", "no key set is named \"nosuch\", and there is no such file; a file may stand for login"),
        ("own", "the key set own has its keys in the configuration; a file may stand for login"),
    ] {
        let run = inspect(token.line(), &config, &["--jwks", &format!("{name}={jwks}")]);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains(part), "{part:?}: {run:?}");
    }
    let run = inspect(token.line(), &config, &["--jwks", "login=/nowhere"]);
    assert!(
        run.code == 2 && run.err.contains("login=/nowhere: cannot be read: there is no such file"),
        "{run:?}"
    );
    // Its name has a sign of equality, and it is there.
    let folder = std::env::temp_dir().join(format!("api-guard-a=b-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let run = inspect(token.line(), &config, &["--jwks", folder.to_str().expect("a path")]);
    std::fs::remove_dir(&folder).expect("the folder");
    assert!(
        run.code == 2
            && run.err.contains("cannot be read: it is a directory; name a file (the key sets are login)"),
        "{run:?}"
    );
}
