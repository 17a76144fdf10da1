//! Literals beside a parameter, and the case of letters.

use super::{find, id, spec, table};
use crate::request::target::Target;
use crate::route::*;

#[test]
fn literals_beside_a_parameter_come_between_a_literal_and_a_parameter() {
    let mut lines = vec![
        "GET /v1/{id}",
        "GET /v1/{id}:cancel",
        "POST /v1/{id}:cancel",
        "GET /v1/{id}:bulk:cancel",
        "GET /v1/x{id}",
        "GET /v1/xy{id}",
        "GET /v1/x{id}:cancel",
        "GET /v1/1:cancel",
        "GET /v1/{id}:cancel/parts",
        "GET /v1/{id}.json",
        "GET /{*rest}",
    ];
    for _ in 0..lines.len() {
        lines.rotate_left(1);
        let table = table(&lines);
        for (path, line) in [
            ("/v1/1", "GET /v1/{id}"),
            ("/v1/1:cancel", "GET /v1/1:cancel"),
            ("/v1/2:cancel", "GET /v1/{id}:cancel"),
            ("/v1/2:bulk:cancel", "GET /v1/{id}:bulk:cancel"),
            ("/v1/:cancel", "GET /v1/{id}"),
            ("/v1/x:cancel", "GET /v1/{id}:cancel"),
            ("/v1/x1:cancel", "GET /v1/x{id}:cancel"),
            ("/v1/xy", "GET /v1/x{id}"),
            ("/v1/xyz", "GET /v1/xy{id}"),
            ("/v1/1:cancel/parts", "GET /v1/{id}:cancel/parts"),
            ("/v1/1:cancel/other", "GET /{*rest}"),
            ("/v1/1:Cancel", "GET /v1/{id}"),
            ("/v1/.json", "GET /v1/{id}"),
            ("/v1/a.json.json", "GET /v1/{id}.json"),
            ("/v1/1%3Acance", "GET /v1/{id}"),
            ("/v1/%C3%A9.json", "GET /v1/{id}.json"),
        ] {
            let found = find(&table, "a", path, "GET");
            assert_eq!(id(&found).map(|id| lines[id]), Some(line), "{path}");
        }
        for path in ["/v1/2%3Acancel", "/v1/2%3acancel/", "/v1/2%3Abulk%3Acancel", "/v1/1%3Acancel/parts"] {
            for method in ["GET", "POST", "PUT"] {
                assert_eq!(find(&table, "a", path, method), Found::Ambiguous, "{method} {path}");
            }
        }
    }
    // Where a literal takes the segment, it is taken decoded.
    assert_eq!(id(&find(&table(&["GET /1:cancel", "GET /{id}:cancel"]), "a", "/1%3Acancel", "GET")), Some(0));
    let collides = ["GET /v1/{id}:cancel", "GET /v1/{name}:cancel"];
    let specs = collides.iter().enumerate().map(|(id, line)| spec(id, line)).collect();
    assert_eq!(RouteTable::build(specs, false, PathCase::Sensitive).unwrap_err().len(), 1);
}

#[test]
fn ten_thousand_verbs_need_no_more_steps_than_ten() {
    let build = |count: usize| {
        let lines: Vec<String> = (0..count).map(|n| format!("GET /v1/{{id}}:verb{n:04}")).collect();
        table(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(build(10).most_steps(), build(10_000).most_steps());
    assert_eq!(id(&find(&build(10_000), "a", "/v1/7:verb9999", "GET")), Some(9999));
}

#[test]
fn letters_of_literals_match_in_either_case_where_the_configuration_says_so() {
    let build = |lines: &[&str]| {
        let specs = lines.iter().enumerate().map(|(id, line)| spec(id, line)).collect();
        RouteTable::build(specs, false, PathCase::Insensitive)
    };
    let table = build(&["GET /Admin/{id}", "GET /caf%C3%A9", "GET /v{n}:Cancel", "GET /x/{*rest}"]).unwrap();
    for (path, expected) in [
        ("/admin/A", Some(0)),
        ("/ADMIN/a", Some(0)),
        ("/CAF%C3%A9", Some(1)),
        ("/caf%C3%89", None),
        ("/V1:cANCEL", Some(2)),
        ("/X", Some(3)),
        ("/X/Y/z", Some(3)),
    ] {
        assert_eq!(id(&find(&table, "a", path, "GET")), expected, "{path}");
    }
    let target = Target::read(b"/ADMIN/AbC").unwrap();
    let Found::Route { template, .. } = table.find(&Host::read(b"a").unwrap(), &target, "GET") else {
        panic!("no route")
    };
    assert_eq!(template.parameter(target.path(), "id"), Some("AbC"));
    for pair in [["GET /a", "GET /A"], ["GET /{x}:a", "GET /{y}:A"], ["GET /v{x}/b", "GET /V{y}/B"]] {
        assert_eq!(build(&pair).unwrap_err().len(), 1, "{pair:?}");
    }
}
