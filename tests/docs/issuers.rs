//! `docs/issuers.md`: each table is judged, row by row, under the configuration above it.
//!
//! What the tokens are stands in `issuers/`, one file for each section: the header and the claims of a token as the
//! issuer makes it, and the tokens of the table: `with` changes claims (null takes one away), `claims` and `header` replace them
//! all, `secret` signs with another secret, `signer` with another private key, `text` is no JWT, or no token at all where it is
//! empty. `key_set` is what the issuer publishes: each key is one of `tests/issuer_keys` (`of`) with these members.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_testkit::sign_as;
use ct_codecs::{Base64, Base64UrlSafeNoPadding, Decoder, Encoder};
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::sha2::{Sha256, Sha512};
use rsa::signature::{SignatureEncoding, Signer};
use serde_json::{Value, json};

use crate::documents::{blocks, read, rows, section};
use crate::server::{VARIABLES, variable};

pub(crate) const PAGE: &str = "docs/issuers.md";

/// The sections that have tokens.
const SECTIONS: [&str; 12] = [
    "Supabase",
    "Keycloak",
    "Auth0",
    "Firebase",
    "Cognito",
    "Entra",
    "Laravel",
    "Django SimpleJWT",
    "NestJS",
    "Hasura",
    "Rails devise-jwt",
    "MCP servers",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docs/issuers")
}

/// The configuration that a section shows.
pub(crate) fn configuration(heading: &str) -> Value {
    serde_json::from_str(&blocks(section(&read(PAGE), heading), "json").remove(0)).unwrap()
}

/// A configuration in a file of one test's own, since tests run at the same time.
fn written(test: &str, configuration: &Value) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("issuers-{test}.json"));
    std::fs::write(&file, configuration.to_string()).unwrap();
    file
}

fn slug(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

/// The tokens of a section's table: what the row says in its first two cells, and the token.
pub(crate) fn tokens(heading: &str) -> BTreeMap<(String, String), String> {
    let file = folder().join(format!("{}.json", slug(heading)));
    let shapes: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let mut tokens = BTreeMap::new();
    let key = &configuration(heading)["tokens"]["keys"][0];
    for case in shapes["cases"].as_array().unwrap() {
        let known = ["token", "path", "with", "claims", "header", "secret", "signer", "text"];
        let unknown = case.as_object().unwrap().keys().find(|name| !known.contains(&name.as_str()));
        assert_eq!(unknown, None, "{}", file.display());
        let cells = ["token", "path"].map(|cell| case[cell].as_str().unwrap().to_owned());
        let token = case["text"].as_str().map_or_else(|| token(&shapes, case, key), str::to_owned);
        assert_eq!(tokens.insert(cells.into(), token), None, "{case}");
    }
    tokens
}

fn token(shapes: &Value, case: &Value, key: &Value) -> String {
    let one_of = |name: &str| if case[name].is_null() { &shapes[name] } else { &case[name] };
    let mut claims = one_of("claims").clone();
    for (name, change) in case["with"].as_object().into_iter().flatten() {
        let claims = claims.as_object_mut().unwrap();
        if change.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), change.clone());
        }
    }
    for claim in claims.as_object_mut().unwrap().values_mut() {
        if let Some(seconds) = claim.as_str().and_then(|text| text.strip_prefix("now+")) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            *claim = json!(now + seconds.parse::<u64>().unwrap());
        }
    }
    let header = one_of("header");
    if let Some(algorithm @ ("RS256" | "RS512" | "ES256")) = header["alg"].as_str() {
        return signed_privately(algorithm, case["signer"].as_str(), header, &claims);
    }
    // A token of another algorithm is refused before its signature is looked at: here it has any.
    let algorithm = if header["alg"] == "HS512" { MacAlgorithm::Hs512 } else { MacAlgorithm::Hs256 };
    let secret = case["secret"].as_str().map_or_else(|| secret(key), |text| text.as_bytes().to_vec());
    sign_as(algorithm, &secret, header.to_string().as_bytes(), claims.to_string().as_bytes())
}

/// A token that a private key of the tests signs. `signer`: the file of another than the usual one.
pub(crate) fn signed_privately(
    algorithm: &str,
    signer: Option<&str>,
    header: &Value,
    claims: &Value,
) -> String {
    let usual = if algorithm == "ES256" { "p256.pem" } else { "rsa.pem" };
    let pem = std::fs::read_to_string(keys().join(signer.unwrap_or(usual))).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = Base64::decode_to_vec(base64, None).unwrap();
    let part = |value: &Value| Base64UrlSafeNoPadding::encode_to_string(value.to_string()).unwrap();
    let input = format!("{}.{}", part(header), part(claims));
    let rsa = || rsa::RsaPrivateKey::from_pkcs8_der(&der).unwrap();
    let signature = match algorithm {
        "ES256" => {
            let key = p256::ecdsa::SigningKey::from(p256::SecretKey::from_der(&der).unwrap());
            let signature: p256::ecdsa::Signature =
                p256::ecdsa::signature::Signer::sign(&key, input.as_bytes());
            signature.to_bytes().to_vec()
        }
        "RS512" => SigningKey::<Sha512>::new(rsa()).sign(input.as_bytes()).to_vec(),
        _ => SigningKey::<Sha256>::new(rsa()).sign(input.as_bytes()).to_vec(),
    };
    format!("{input}.{}", Base64UrlSafeNoPadding::encode_to_string(signature).unwrap())
}

fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/issuer_keys")
}

/// A key set of these keys, in a file of one test's own; `None` if the issuer publishes none.
pub(crate) fn published(test: &str, shapes: &Value) -> Option<PathBuf> {
    let all: Value = serde_json::from_slice(&std::fs::read(keys().join("jwks.json")).unwrap()).unwrap();
    let published = shapes.as_array()?.iter().map(|shape| {
        let known = all["keys"].as_array().unwrap().iter().find(|key| key["kid"] == shape["of"]);
        let mut key = known.unwrap_or_else(|| panic!("no key for {shape}")).clone();
        for (name, member) in shape.as_object().unwrap().iter().filter(|(name, _)| *name != "of") {
            key[name] = member.clone();
        }
        key
    });
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("issuers-{test}-jwks.json"));
    std::fs::write(&file, json!({ "keys": published.collect::<Vec<_>>() }).to_string()).unwrap();
    Some(file)
}

/// What the issuer of a section publishes.
fn key_set(test: &str, heading: &str) -> Option<PathBuf> {
    let file = folder().join(format!("{}.json", slug(heading)));
    let shapes: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    published(test, &shapes["key_set"])
}

/// The secret of the configuration; without one, that of the issuer, which is of no use there.
fn secret(key: &Value) -> Vec<u8> {
    let name = key["secret"]["env"].as_str().unwrap_or("API_GUARD_SECRET");
    variable(name).unwrap().as_bytes().to_vec()
}

/// What `explain` says, in the words of the tables.
pub(crate) fn answer(configuration: &Path, jwks: Option<&Path>, path: &str, token: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api-guard"));
    command.env_clear().envs(VARIABLES).arg("explain").arg("--config").arg(configuration);
    command.args(["--json", "--path", path]);
    if !token.is_empty() {
        command.args(["--token", token]);
    }
    if let Some(jwks) = jwks {
        command.arg("--jwks").arg(jwks);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    if answer["allowed"] == false {
        return format!("{} `{}`", answer["status"], answer["code"].as_str().unwrap());
    }
    let headers = answer["upstream_headers"].as_object().into_iter().flatten();
    let told = headers.filter_map(|(name, value)| Some(format!(", `{name}: {}`", value.as_str()?)));
    format!("200{}", told.collect::<String>())
}

#[test]
fn every_token_of_an_issuer_gets_the_answer_that_the_page_says() {
    let mut wrong = Vec::new();
    for heading in SECTIONS {
        let file = written("rows", &configuration(heading));
        let jwks = key_set("rows", heading);
        let tokens = tokens(heading);
        let rows = rows(section(&read(PAGE), heading));
        assert_eq!(rows.len(), tokens.len(), "{heading}");
        assert!(rows.len() >= 6, "{heading}");
        for cells in rows {
            let [what, path, shown]: [String; 3] = cells.try_into().unwrap();
            let path = path.trim_matches('`').to_owned();
            let token = tokens
                .get(&(what.clone(), path.clone()))
                .unwrap_or_else(|| panic!("{heading}: nobody knows {what} for {path}"));
            let answer = answer(&file, jwks.as_deref(), &path, token);
            if answer != shown.replace("\\|", "|") {
                wrong.push(format!("{heading}: {what}, {path}: {answer}, and the page says {shown}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_section_has_its_tokens_and_every_configuration_is_without_a_warning() {
    let mut expected: Vec<_> = SECTIONS.iter().map(|heading| format!("{}.json", slug(heading))).collect();
    let mut found: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    for heading in SECTIONS {
        let file = written("warnings", &configuration(heading));
        let output = Command::new(env!("CARGO_BIN_EXE_api-guard"))
            .args(["check", "--strict"])
            .arg(file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{heading}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn the_model_of_laravel_is_named_by_the_hash_that_is_shown() {
    let page = read(PAGE);
    let command = section(&page, "Laravel")
        .split("(`")
        .find_map(|after| after.split("`)").next()?.strip_prefix("printf"));
    let line = format!("printf{}", command.unwrap());
    let output = Command::new("sh").args(["-euc", &line]).output().unwrap();
    let hash = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        configuration("Laravel")["tokens"]["required_values"]["prv"],
        json!([hash.split(' ').next().unwrap()])
    );
}

/// The valid configurations that have one field less in `tokens`, or in its key set, than this one, but the keys; and which.
fn weaker(configuration: &Value) -> Vec<(&String, Value)> {
    let fields = |pointer: &'static str| {
        let object = configuration.pointer(pointer).and_then(Value::as_object);
        let names = object.into_iter().flat_map(|object| object.keys()).filter(|name| *name != "keys");
        names.map(move |name| (pointer, name))
    };
    let weaker = fields("/tokens").chain(fields("/tokens/key_sets/0")).map(|(pointer, name)| {
        let mut without = configuration.clone();
        without.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
        (name, without)
    });
    weaker.filter(|(_, without)| crate::parse(&without.to_string()).is_ok()).collect()
}

#[test]
fn nothing_that_is_asked_of_the_tokens_of_an_issuer_can_be_left_out() {
    let mut useless = Vec::new();
    for heading in SECTIONS {
        let configuration = configuration(heading);
        let tokens = tokens(heading);
        let whole = written("whole", &configuration);
        let jwks = key_set("whole", heading);
        let ask = |file: &Path, path: &str, token: &str| answer(file, jwks.as_deref(), path, token);
        let answers: Vec<_> =
            tokens.iter().map(|((_, path), token)| (path, token, ask(&whole, path, token))).collect();
        for (name, without) in weaker(&configuration) {
            let file = written("weaker", &without);
            if answers.iter().all(|(path, token, before)| ask(&file, path, token) == *before) {
                useless.push(format!("{heading}: {name}"));
            }
        }
    }
    assert!(useless.is_empty(), "no token shows what these are for: {useless:?}");
}
