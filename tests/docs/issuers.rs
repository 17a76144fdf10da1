//! `docs/issuers.md`: each table is judged, row by row, under the configuration above it.
//!
//! What the tokens are stands in `issuers/`, one file for each section: the header and the claims of a token as the
//! issuer makes it, and the tokens of the table: `with` changes claims (null takes one away), `claims` and `header` replace them
//! all, `secret` signs with another secret, `text` is no JWT, or no token at all where it is empty.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_testkit::sign_as;
use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
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
    let configuration = configuration(heading);
    let mut tokens = BTreeMap::new();
    for case in shapes["cases"].as_array().unwrap() {
        let known = ["token", "path", "with", "claims", "header", "secret", "text"];
        let unknown = case.as_object().unwrap().keys().find(|name| !known.contains(&name.as_str()));
        assert_eq!(unknown, None, "{}", file.display());
        let cells = ["token", "path"].map(|cell| case[cell].as_str().unwrap().to_owned());
        let token = case["text"]
            .as_str()
            .map_or_else(|| token(&shapes, case, &configuration["tokens"]["keys"][0]), str::to_owned);
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
    // A token of another algorithm is refused before its signature is looked at: here it has any.
    let algorithm = if header["alg"] == "HS512" { MacAlgorithm::Hs512 } else { MacAlgorithm::Hs256 };
    let secret = case["secret"].as_str().map_or_else(|| secret(key), |text| text.as_bytes().to_vec());
    sign_as(algorithm, &secret, header.to_string().as_bytes(), claims.to_string().as_bytes())
}

fn secret(key: &Value) -> Vec<u8> {
    let text = variable(key["secret"]["env"].as_str().unwrap()).unwrap();
    if key["secret"]["encoding"] != "base64" {
        return text.as_bytes().to_vec();
    }
    Base64UrlSafeNoPadding::decode_to_vec(text, None).unwrap()
}

/// What `explain` says, in the words of the tables.
fn answer(configuration: &Path, path: &str, token: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api-guard"));
    command.env_clear().envs(VARIABLES).arg("explain").arg("--config").arg(configuration);
    command.args(["--json", "--path", path]);
    if !token.is_empty() {
        command.args(["--token", token]);
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
            let answer = answer(&file, &path, token);
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

/// The valid configurations that have one field less in `tokens` than this one, but the keys; and which.
fn weaker(configuration: &Value) -> Vec<(&String, Value)> {
    let fields = configuration["tokens"].as_object().unwrap().keys().filter(|name| *name != "keys");
    let weaker = fields.map(|name| {
        let mut without = configuration.clone();
        without["tokens"].as_object_mut().unwrap().remove(name);
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
        let answers: Vec<_> =
            tokens.iter().map(|((_, path), token)| (path, token, answer(&whole, path, token))).collect();
        for (name, without) in weaker(&configuration) {
            let file = written("weaker", &without);
            if answers.iter().all(|(path, token, before)| answer(&file, path, token) == *before) {
                useless.push(format!("{heading}: {name}"));
            }
        }
    }
    assert!(useless.is_empty(), "no token shows what these are for: {useless:?}");
}
