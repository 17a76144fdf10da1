//! `api-guard import openapi`.

use std::path::Path;

use serde_json::{Value, json};

use crate::command::{Run, api_guard};
use crate::files::File;

const SCHEMES: &str = "
components:
  securitySchemes:
    oauth: { type: oauth2, flows: {} }
    bearer: { type: http, scheme: Bearer }
    key: { type: apiKey, in: header, name: x-key }
    basic: { type: http, scheme: basic }
";

fn import(document: &str, more: &[&str]) -> Run {
    let file = File::with_ending(document, ".yaml");
    api_guard([&["import", "openapi", file.path()], more].concat())
}

/// The configuration, which the guard must accept.
fn imported(document: &str) -> (Value, String) {
    let run = import(document, &[]);
    assert_eq!(run.code, 0, "{run:?}");
    let file = File::new(&run.out);
    let checked = api_guard(["check", file.path()]);
    assert_eq!(checked.code, 0, "{checked:?}");
    (run.json(), run.err)
}

/// One operation with this security (YAML), as its route, and what is noted.
fn with_security(security: &str) -> (Value, String) {
    let document = format!(
        "openapi: 3.0.3\npaths:\n  /a:\n    get:\n      security: {security}\n      responses: {{}}\n{SCHEMES}"
    );
    let (mut configuration, notes) = imported(&document);
    (configuration["routes"][0].take(), notes)
}

#[test]
fn security_becomes_what_a_route_asks_and_never_less() {
    for (security, expected, noted) in [
        ("[]", json!({ "access": "public" }), ""),
        ("[{}]", json!({ "access": "optional" }), ""),
        ("[{oauth: [a:read]}, {}]", json!({ "access": "optional" }), ""),
        ("[{bearer: []}]", json!({}), ""),
        ("[{oauth: [b:x, a:x]}]", json!({ "required_permissions": ["a:x", "b:x"] }), ""),
        ("[{oauth: [a:x], bearer: [b:x]}]", json!({ "required_permissions": ["a:x", "b:x"] }), ""),
        ("[{oauth: [b:x]}, {oauth: [a:x]}]", json!({ "any_permissions": ["a:x", "b:x"] }), ""),
        ("[{oauth: [a:x]}, {oauth: [a:x, b:x]}]", json!({ "required_permissions": ["a:x"] }), ""),
        (
            "[{oauth: [a:x, c:x]}, {oauth: [a:x, b:x]}]",
            json!({ "access": "deny" }),
            "several groups of scopes",
        ),
        ("[{key: []}]", json!({}), "\"key\" is not by a bearer token"),
        (
            "[{basic: []}, {oauth: [a:x]}]",
            json!({ "required_permissions": ["a:x"] }),
            "\"basic\" is not by a bearer token",
        ),
        ("[{key: [], oauth: [a:x]}]", json!({ "required_permissions": ["a:x"] }), "\"key\""),
        ("[{other: [a:x]}]", json!({}), "\"other\" is not among the securitySchemes"),
        (
            "[{bearer: []}, {oauth: [a:x]}]",
            json!({ "required_permissions": ["a:x"] }),
            "the scopes are asked for",
        ),
        ("[{oauth: ['a b']}]", json!({ "access": "deny" }), "cannot be a permission"),
    ] {
        let (mut route, notes) = with_security(security);
        assert_eq!((route["path"].take(), route["methods"].take()), (json!("/a"), json!(["GET"])));
        let mut route = route.as_object().unwrap().clone();
        route.retain(|_, value| !value.is_null());
        assert_eq!(Value::Object(route), expected, "{security}");
        assert_eq!(notes.is_empty(), noted.is_empty(), "{security}: {notes}");
        assert!(notes.contains(noted), "{security}: {notes}");
        // With its line.
        assert!(noted.is_empty() || notes.contains(":5:"), "{notes}");
    }
}

#[test]
fn security_of_another_form_is_an_error_and_opens_nothing() {
    for (security, value, instead) in [
        ("{oauth: [admin]}", r#"security of PLACE is {"oauth":["admin"]}"#, "write a list of alternatives"),
        ("oauth", r#"security of PLACE is "oauth""#, "or [] for none"),
        ("null", "security of PLACE is null", "or [] for none"),
        ("[oauth]", r#"security of PLACE has the alternative "oauth""#, "or {} for none"),
        ("[[]]", "security of PLACE has the alternative []", "write an object"),
        (
            "[{oauth: admin}]",
            r#"security of PLACE has the scopes "admin" of "oauth""#,
            "write a list of texts",
        ),
        ("[{oauth: {read: 1}}]", r#"has the scopes {"read":1} of "oauth""#, "write a list of texts"),
        ("[{oauth: null}]", r#"has the scopes null of "oauth""#, "or [] for none"),
        (
            "[{bearer: []}, {oauth: [a:x, [b:x]]}]",
            r#"the scopes ["a:x",["b:x"]] of "oauth""#,
            "list of texts",
        ),
    ] {
        let general =
            format!("openapi: 3.0.3\nsecurity: {security}\npaths: {{ /a: {{ get: {{}} }} }}\n{SCHEMES}");
        let own =
            format!("openapi: 3.0.3\npaths: {{ /a: {{ get: {{\n  security: {security} }} }} }}\n{SCHEMES}");
        for (document, place, line) in [(general, "the document", ":2:"), (own, "GET /a", ":3:")] {
            let run = import(&document, &[]);
            assert_eq!((run.code, run.out.as_str()), (1, ""), "{document}: {run:?}");
            for part in [value.replace("PLACE", place).as_str(), instead, line] {
                assert!(run.err.contains(part), "{part}: {run:?}");
            }
            assert_eq!(run.err.lines().count(), 1, "{run:?}");
        }
    }
    let both = import("openapi: 3.0.3\nsecurity: a\npaths: { /a: { get: { security: b } } }\n", &[]);
    assert_eq!(both.err.matches("error: ").count(), 2, "{both:?}");
}

#[test]
fn a_document_without_security_asks_for_a_token_and_one_with_some_means_its_silence() {
    let silent = "openapi: 3.1.0\npaths: { /a: { get: {} } }\n";
    let (configuration, notes) = imported(silent);
    assert_eq!(configuration["routes"][0].get("access"), None);
    assert!(notes.contains("says nothing of security"), "{notes}");
    assert_eq!(configuration["unmatched_routes"], "deny");
    let (configuration, notes) =
        imported("openapi: 3.1.0\npaths: { /a: { get: {} }, /b: { get: { security: [] } } }\n");
    assert_eq!(configuration["routes"][0]["access"], "public");
    assert_eq!(notes, "");
    let general = format!(
        "openapi: 3.0.0\nsecurity: [{{oauth: [a:x]}}]\npaths: {{ /a: {{ get: {{}} }}, /b: {{ get: {{ security: [] }} }} }}\n{SCHEMES}"
    );
    let (configuration, _) = imported(&general);
    assert_eq!(configuration["routes"][0]["required_permissions"], json!(["a:x"]));
    assert_eq!(configuration["routes"][1]["access"], "public");
}

#[test]
fn paths_methods_types_and_names_become_routes() {
    let document = r##"
openapi: 3.1.0
servers: [{ url: "https://api.example.com/v1/" }]
security: [{ bearer: [] }]
paths:
  /orders/{order-id}.json:
    parameters: []
    get: { operationId: readOrder }
    patch: { requestBody: { $ref: "#/components/requestBodies/order" } }
  /files/: { put: { requestBody: { content: { "*/*": {} } } } }
  /image: { post: { requestBody: { content: { "image/*": {}, "image/PNG; q=1": {} } } } }
  /any-image: { post: { requestBody: { content: { "image/*": {} } } } }
  /search?deep=true: { get: {} }
  /compare/{base}...{head}: { get: {} }
  /users/{id}: { get: { operationId: first } }
  /users/{name}: { delete: {} }
  /trace: { trace: {} }
  /shared: { $ref: "#/components/pathItems/shared" }
  /elsewhere: { $ref: "other.yaml#/x" }
  /odd/[a]: { get: {} }
  x-extension: { get: {} }
components:
  securitySchemes: { bearer: { type: http, scheme: bearer } }
  requestBodies: { order: { content: { application/json: {}, application/xml: {} } } }
  pathItems: { shared: { options: {}, head: {} } }
"##;
    let (configuration, notes) = imported(document);
    let routes = configuration["routes"].as_array().unwrap();
    let found: Vec<String> = routes
        .iter()
        .map(|route| {
            format!(
                "{} {} {}",
                route["methods"][0].as_str().unwrap(),
                route["path"].as_str().unwrap(),
                route["content_types"]
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "POST /v1/any-image null",
            "PUT /v1/files []",
            "POST /v1/image [\"image/png\"]",
            "GET /v1/orders/{order_id}.json null",
            "PATCH /v1/orders/{order_id}.json [\"application/json\",\"application/xml\"]",
            "GET /v1/search null",
            "HEAD /v1/shared null",
            "OPTIONS /v1/shared null",
            "DELETE /v1/users/{id} null",
            "GET /v1/users/{id} null",
        ]
    );
    assert_eq!(
        configuration["request"]["allowed_methods"],
        json!(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])
    );
    for (line, part) in [
        (11, "image/* is left out"),
        (12, "image/* is left out"),
        (13, "\"?deep=true\" of /search is dropped"),
        (14, "two parameters"),
        (17, "TRACE /v1/trace is left out"),
        (19, "/elsewhere is left out"),
        (20, "GET /v1/odd/[a] is left out"),
    ] {
        assert!(
            notes.lines().any(|note| note.contains(part) && note.contains(&format!(":{line}:"))),
            "{line} {part}: {notes}"
        );
    }
    assert_eq!(notes.lines().count(), 7, "{notes}");
}

#[test]
fn a_path_without_its_slash_is_an_error() {
    for servers in ["[]", "[{ url: /v1 }]"] {
        let document = format!(
            "openapi: 3.1.0\nsecurity: []\nservers: {servers}\npaths:\n  orders: {{ get: {{}} }}\n  users: {{ get: {{}} }}\n"
        );
        let run = import(&document, &[]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        for (line, name) in [(5, "orders"), (6, "users")] {
            let part = format!(":{line}:3: the path {name:?} does not begin with a slash; write \"/{name}\"");
            assert!(run.err.contains(&part), "{part}: {run:?}");
        }
    }
}

#[test]
fn what_an_author_may_believe_to_hold_is_told() {
    let document = r#"
openapi: 3.1.0
servers: [{ url: /v1 }]
security: []
paths:
  /a: { servers: [{ url: /v2 }], get: {} }
  /b: { get: { servers: [{ url: /v1 }, { url: /v3 }] }, put: { servers: [{ url: https://other/v1/ }] } }
  /c: { Get: {} }
  /d: { query: {}, summary: d, description: d, parameters: [], x-own: 1 }
  /e: { x-api-guard: { access: deny }, get: {} }
"#;
    let (configuration, notes) = imported(document);
    let routes = configuration["routes"].as_array().unwrap();
    let paths: Vec<&str> = routes.iter().map(|route| route["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/v1/b", "/v1/e"]);
    for (line, part) in [
        (
            6,
            "/v1/a is left out, and so refused: its own server's path is \"/v2\", and routes are below \"/v1\"",
        ),
        (7, "GET /v1/b is left out, and so refused: its own server's path is \"/v3\""),
        (8, "Get /v1/c is left out, and so refused: write \"get\" in place of \"Get\""),
        (9, "/v1/d: \"query\" is left out, and so refused: the methods of OpenAPI are get, put"),
        (10, "/v1/e: x-api-guard of a path is left out: write it in each operation"),
    ] {
        let is_told = |note: &str| note.contains(part) && note.contains(&format!(":{line}:"));
        assert!(notes.lines().any(is_told), "{line} {part}: {notes}");
    }
    assert_eq!(notes.lines().count(), 5, "{notes}");
}

#[test]
fn servers_and_operations_of_another_form_are_errors() {
    for (document, part) in [
        ("servers: { url: /v1 }\npaths: {}\n", ":3:10: servers is not a list of objects with a url"),
        ("servers: [/v1]\npaths: {}\n", ":3:10: servers is not a list"),
        ("paths: { /a: { servers: /v1, get: {} } }\n", ":3:25: servers is not a list"),
        ("paths: [/a]\n", ":3:8: paths is [\"/a\"]; write an object"),
        ("paths: { /a: [get] }\n", ":3:10: the path \"/a\" is [\"get\"]; write an object"),
        ("paths: { /a: { get: public } }\n", ":3:16: GET /a is \"public\"; write an object"),
    ] {
        let run = import(&format!("openapi: 3.1.0\nsecurity: []\n{document}"), &[]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        assert!(run.err.contains(part), "{part}: {run:?}");
    }
}

#[test]
fn an_operation_id_is_not_blamed_on_the_author_s_fields() {
    let document = format!(
        "openapi: 3.1.0\nsecurity: []\npaths:\n  /a: {{ get: {{ operationId: \"{}\", x-api-guard: {{ mode: report }} }} }}\n",
        "a".repeat(300)
    );
    let (configuration, notes) = imported(&document);
    assert_eq!(configuration.get("routes"), None);
    assert!(
        notes.contains(
            ":4:9: warning: GET /a is left out, and so refused: operationId: not a route name; write"
        ),
        "{notes}"
    );
}

#[test]
fn references_lead_on_but_not_in_a_circle() {
    let document = r##"
openapi: 3.1.0
security: []
paths:
  /one: { $ref: "#/components/pathItems/one" }
  /escaped: { $ref: "#/components/pathItems/a~1b~0c" }
  /other-path: { $ref: "#/paths/~1own" }
  /own: { get: {} }
  /circle: { $ref: "#/components/pathItems/circle" }
  /nothing: { $ref: "#/components/pathItems/nothing" }
  /no-object: { $ref: "#/openapi/one" }
  /listed: { put: { requestBody: { $ref: "#/x-bodies/1" } } }
x-bodies: [ {}, { content: { text/plain: {} } } ]
components:
  pathItems:
    one: { $ref: "#/components/pathItems/two" }
    two: { put: {} }
    a/b~c: { head: {} }
    circle: { $ref: "#/components/pathItems/circle" }
"##;
    let (configuration, notes) = imported(document);
    let found: Vec<String> = configuration["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| format!("{} {}", route["methods"][0].as_str().unwrap(), route["path"].as_str().unwrap()))
        .collect();
    assert_eq!(found, ["HEAD /escaped", "PUT /listed", "PUT /one", "GET /other-path", "GET /own"]);
    assert_eq!(configuration["routes"][1]["content_types"], json!(["text/plain"]));
    assert_eq!(notes.matches("its $ref is not in this file").count(), 3, "{notes}");
}

#[test]
fn what_the_guard_refuses_is_left_out_wherever_it_stands() {
    let paths: String = (0..500)
        .map(|number| {
            let path = if number % 7 == 0 { format!("/bad/[{number}]") } else { format!("/good/{number}") };
            format!("  {path}: {{ get: {{}} }}\n")
        })
        .collect();
    let (configuration, notes) = imported(&format!("openapi: 3.1.0\nsecurity: []\npaths:\n{paths}"));
    assert_eq!(configuration["routes"].as_array().unwrap().len(), 428);
    assert_eq!(notes.matches("is left out, and so refused: not a path template").count(), 72, "{notes}");
}

#[test]
fn an_operation_that_stands_twice_is_refused_unless_it_asks_for_the_same() {
    let document = format!(
        "openapi: 3.0.3
paths:
  /a/{{id}}: {{ get: {{ security: [{{oauth: [a:x]}}] }}, put: {{ security: [] }} }}
  /a/{{name}}: {{ get: {{ security: [{{oauth: [b:x]}}] }}, put: {{ security: [] }} }}
{SCHEMES}"
    );
    let (configuration, notes) = imported(&document);
    assert_eq!(
        configuration["routes"],
        json!([
            { "path": "/a/{id}", "methods": ["GET"], "access": "deny" },
            { "path": "/a/{id}", "methods": ["PUT"], "access": "public" },
        ])
    );
    assert_eq!(notes.lines().count(), 1, "{notes}");
    assert!(notes.contains(":4:") && notes.contains("stands twice and asks for two things"), "{notes}");
}

#[test]
fn scopes_of_another_form_than_ours_set_the_form() {
    let (route, _) = with_security("[{oauth: [orders:read]}]");
    assert_eq!(route["required_permissions"], json!(["orders:read"]));
    let of = |scope: &str| {
        let document = format!(
            "openapi: 3.0.3\nsecurity: [{{oauth: ['{scope}']}}]\npaths: {{ /a: {{ get: {{}} }} }}\n{SCHEMES}"
        );
        imported(&document).0["tokens"]["permission_format"].clone()
    };
    assert_eq!(of("orders:read"), Value::Null);
    assert_eq!(of("orders.read"), "scope_token");
}

#[test]
fn what_an_author_writes_for_the_guard_takes_the_place_of_the_rest() {
    let of = |extension: &str| {
        format!(
            "openapi: 3.0.3\nsecurity: [{{oauth: [a:x]}}]\npaths: {{ '/users/{{id}}': {{ get: {{ x-api-guard: {extension} }} }} }}\n{SCHEMES}"
        )
    };
    let (configuration, _) = imported(&of("{ bind: { id: sub }, name: own }"));
    let route = &configuration["routes"][0];
    assert_eq!((&route["bind"], &route["name"]), (&json!({ "id": "sub" }), &json!("own")));
    assert_eq!(route["required_permissions"], json!(["a:x"]));
    let (configuration, _) = imported(&of("{ any_permissions: [b:x, c:x] }"));
    assert_eq!(configuration["routes"][0].get("required_permissions"), None);
    let wrong = import(&of("{ acces: public }"), &[]);
    assert_eq!((wrong.code, wrong.out.as_str()), (1, ""));
    assert!(wrong.err.contains(":3:") && wrong.err.contains("x-api-guard of GET /users/{id}"), "{wrong:?}");
    assert!(wrong.err.contains("did you mean \"access\"?"), "{wrong:?}");
}

#[test]
fn drift_is_told() {
    let document = format!(
        "openapi: 3.0.3\nsecurity: [{{oauth: [a:x]}}]\npaths: {{ '/a/{{id}}': {{ get: {{}}, put: {{}} }} }}\n{SCHEMES}"
    );
    let (mut configuration, _) = imported(&document);
    let check = |configuration: &Value| {
        let file = File::new(configuration.to_string());
        import(&document, &["--check", file.path()])
    };
    // Limits and names are one's own.
    configuration["rate_limits"] = json!([]);
    configuration["routes"][0]["path"] = json!("/a/{name}");
    configuration["routes"][0]["max_request_size_bytes"] = json!(5);
    let same = check(&configuration);
    assert_eq!(same.code, 0, "{same:?}");
    configuration["routes"][0]["required_permissions"] = json!(["b:x"]);
    configuration["routes"][1]["methods"] = json!(["GET", "POST"]);
    configuration["routes"][1]["path"] = json!("/b");
    configuration["request"]["allowed_methods"] = json!(["GET", "POST", "PUT"]);
    configuration["unmatched_routes"] = json!("authenticated");
    let drift = check(&configuration);
    assert_eq!(drift.code, 1);
    for part in [
        "~ GET /a/{}: required_permissions [\"a:x\"] -> [\"b:x\"]",
        "- PUT /a/{}",
        "+ GET /b",
        "+ POST /b",
        "unmatched_routes \"deny\" -> \"authenticated\"",
    ] {
        assert!(drift.out.contains(part), "{part}: {}", drift.out);
    }
}

#[test]
fn what_is_no_openapi_is_told() {
    for (document, part) in [
        ("swagger: '2.0'\npaths: {}", "convert it first"),
        ("openapi: 3.2.0\npaths: {}", "only 3.0 and 3.1"),
        ("a: 1", "no OpenAPI document"),
        ("a: [", "neither JSON nor YAML"),
    ] {
        let run = import(document, &[]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        assert!(run.err.contains(part), "{run:?}");
    }
    assert_eq!(api_guard(["import", "openapi", "/nowhere"]).code, 2);
    assert_eq!(api_guard(["import", "wsdl", "/nowhere"]).code, 2);
}

#[test]
fn real_documents_become_configurations_that_serve_what_they_describe() {
    let Some(folder) = std::env::var_os("API_GUARD_OPENAPI") else {
        api_guard_testkit::skip("API_GUARD_OPENAPI names no folder of OpenAPI documents");
        return;
    };
    let mut read = 0;
    for entry in std::fs::read_dir(Path::new(&folder)).expect("the folder") {
        let path = entry.expect("an entry").path();
        if !path.extension().is_some_and(|kind| kind == "yaml" || kind == "json") {
            continue;
        }
        let run = api_guard(["import".as_ref(), "openapi".as_ref(), path.as_os_str()]);
        assert_eq!(run.code, 0, "{run:?}");
        let routes = run.json()["routes"].as_array().expect("routes").clone();
        assert!(!routes.is_empty(), "{}", path.display());
        let configuration = File::new(&run.out);
        assert_eq!(api_guard(["check", configuration.path()]).code, 0, "{}", path.display());
        let check = [
            "import".as_ref(),
            "openapi".as_ref(),
            path.as_os_str(),
            "--check".as_ref(),
            configuration.path().as_ref(),
        ];
        assert_eq!(api_guard(check).code, 0, "{}", path.display());
        read += 1;
    }
    assert!(read >= 4, "{read} documents");
}
