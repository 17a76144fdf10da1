mod affixes;
mod model;
mod traversal;

use super::*;
use crate::request::target::Target;

fn spec(id: usize, line: &str) -> RouteSpec {
    let mut words = line.split(' ');
    let methods = words.next().unwrap().split(',').map(str::to_owned).collect();
    let template = Template::parse(words.next().unwrap()).unwrap();
    let hosts = words.map(|host| HostPattern::parse(host).unwrap()).collect();
    RouteSpec { hosts, template, methods, index: RouteIndex::new(id) }
}

/// Lines `METHOD,METHOD /path host host`; the id is the index.
fn table(lines: &[&str]) -> RouteTable {
    let specs = lines.iter().enumerate().map(|(id, line)| spec(id, line)).collect();
    RouteTable::build(specs, false, PathCase::Sensitive).unwrap()
}

fn find<'t>(table: &'t RouteTable, host: &str, path: &str, method: &str) -> Found<'t> {
    let target = Target::read(path.as_bytes()).unwrap();
    table.find(&Host::read(host.as_bytes()).unwrap(), &target, method)
}

fn id(found: &Found<'_>) -> Option<usize> {
    match found {
        Found::Route { index, .. } => Some(index.get()),
        Found::MethodNotAllowed { .. } | Found::NoRoute | Found::Ambiguous => None,
    }
}

#[test]
fn the_most_specific_path_wins_whatever_the_order() {
    let mut lines = vec![
        "GET /{*all}",
        "GET /orders/{id}",
        "GET /orders/mine",
        "GET /orders/{id}/items",
        "GET /orders/mine/{*rest}",
        "GET /{tenant}/mine",
        "GET /",
    ];
    for _ in 0..lines.len() {
        lines.rotate_left(1);
        let table = table(&lines);
        for (path, line) in [
            ("/orders/mine", "GET /orders/mine"),
            ("/orders/7/", "GET /orders/{id}"),
            ("/orders/7/items", "GET /orders/{id}/items"),
            ("/orders/mine/items", "GET /orders/mine/{*rest}"),
            ("/orders/7/parts", "GET /{*all}"),
            ("/acme/mine", "GET /{tenant}/mine"),
            ("/acme/yours", "GET /{*all}"),
            ("/orders", "GET /{*all}"),
            ("/", "GET /"),
        ] {
            let found = find(&table, "a", path, "GET");
            assert_eq!(id(&found).map(|id| lines[id]), Some(line), "{path}");
        }
    }
}

#[test]
fn whole_segments_are_matched_with_case() {
    let table = table(&["GET /admin", "GET /caf%C3%A9", "GET /a/{*rest}"]);
    for path in ["/administrator", "/Admin", "/admin/x", "/adm", "/", "/aa"] {
        assert_eq!(find(&table, "a", path, "GET"), Found::NoRoute, "{path}");
    }
    assert_eq!(id(&find(&table, "a", "/caf%c3%a9", "GET")), Some(1));
}

#[test]
fn a_path_with_routes_but_none_for_the_method_names_all_it_has() {
    let table = table(&["PUT,GET /a/{x}", "POST,GET /a/b", "DELETE /a/{y}"]);
    let allowed = vec!["DELETE", "GET", "PUT"];
    assert_eq!(find(&table, "a", "/a/c", "POST"), Found::MethodNotAllowed { allowed });
    // The path decides first: what a wider path allows does not count.
    let allowed = vec!["GET", "POST"];
    assert_eq!(find(&table, "a", "/a/b", "PUT"), Found::MethodNotAllowed { allowed });
    assert_eq!(id(&find(&table, "a", "/a/c", "get")), None);
}

#[test]
fn head_follows_get_unless_a_route_names_it() {
    let lines = ["GET /a", "POST /b", "GET /c", "HEAD /c", "GET /d api.example.com", "HEAD /d"];
    let table = table(&lines);
    assert_eq!(id(&find(&table, "a", "/a", "HEAD")), Some(0));
    assert_eq!(find(&table, "a", "/b", "HEAD"), Found::MethodNotAllowed { allowed: vec!["POST"] });
    assert_eq!(id(&find(&table, "a", "/c", "HEAD")), Some(3));
    assert_eq!(id(&find(&table, "api.example.com", "/d", "HEAD")), Some(4));
    assert_eq!(id(&find(&table, "a", "/d", "HEAD")), Some(5));
    assert_eq!(find(&table, "a", "/a", "PUT"), Found::MethodNotAllowed { allowed: vec!["GET"] });
    let specs = lines.iter().enumerate().map(|(id, line)| spec(id, line)).collect();
    let listing = RouteTable::build(specs, true, PathCase::Sensitive).unwrap();
    assert_eq!(find(&listing, "a", "/a", "PUT"), Found::MethodNotAllowed { allowed: vec!["GET", "HEAD"] });
    assert_eq!(find(&listing, "a", "/b", "PUT"), Found::MethodNotAllowed { allowed: vec!["POST"] });
}

#[test]
fn a_rest_covers_its_root_behind_every_route_that_ends_there() {
    let mut lines = vec![
        "GET /admin/{*rest}",
        "GET /{tenant}/{*rest}",
        "GET /{*all}",
        "GET /orders",
        "GET /orders/{*rest}",
        "GET /shops/{id}",
        "GET /shops/mine/{*rest}",
        "GET /shops/{id}/{*rest}",
        "GET /{x}/mine",
    ];
    for _ in 0..lines.len() {
        lines.rotate_left(1);
        let table = table(&lines);
        for (path, line) in [
            ("/admin", "GET /admin/{*rest}"),
            ("/admin/", "GET /admin/{*rest}"),
            ("/admin/a/b", "GET /admin/{*rest}"),
            ("/else", "GET /{tenant}/{*rest}"),
            ("/", "GET /{*all}"),
            ("/orders", "GET /orders"),
            ("/orders/1", "GET /orders/{*rest}"),
            ("/shops/mine", "GET /shops/{id}"),
            ("/shops/mine/1", "GET /shops/mine/{*rest}"),
            ("/shops/7", "GET /shops/{id}"),
            ("/admin/mine", "GET /admin/{*rest}"),
            ("/b/mine", "GET /{x}/mine"),
        ] {
            let found = find(&table, "a", path, "GET");
            assert_eq!(id(&found).map(|id| lines[id]), Some(line), "{path}");
        }
    }
    let table = table(&["GET /admin", "POST /admin/{*rest}", "GET /{x}", "POST /b/{*rest}"]);
    for path in ["/admin", "/b"] {
        let allowed = vec!["GET"];
        assert_eq!(find(&table, "a", path, "POST"), Found::MethodNotAllowed { allowed }, "{path}");
    }
}

#[test]
fn the_first_host_that_has_a_route_for_the_path_decides() {
    let table = table(&[
        "GET,POST,PUT /a",
        "GET,POST /a *.example.org",
        "GET /a *.b.example.org",
        "DELETE /a x.b.example.org other.org",
        "GET /only here.org",
        "GET /{x}",
    ]);
    let methods = |methods: &'static str| Err(methods.split(',').collect::<Vec<_>>());
    for (host, method, expected) in [
        ("x.b.example.org", "DELETE", Ok(3)),
        ("x.b.example.org", "GET", methods("DELETE")),
        ("y.b.example.org", "GET", Ok(2)),
        ("y.b.example.org", "POST", methods("GET")),
        ("b.example.org", "GET", Ok(1)),
        ("a.b.c.example.org", "POST", Ok(1)),
        ("b.example.org", "PUT", methods("GET,POST")),
        ("example.org", "PUT", Ok(0)),
        ("OTHER.org.:80", "DELETE", Ok(3)),
        ("other.org", "GET", methods("DELETE")),
        ("[::1]", "PUT", Ok(0)),
    ] {
        let found = match find(&table, host, "/a", method) {
            Found::Route { index, .. } => Ok(index.get()),
            Found::MethodNotAllowed { allowed } => Err(allowed),
            Found::NoRoute | Found::Ambiguous => panic!("{host} {method}"),
        };
        assert_eq!(found, expected, "{host} {method}");
    }
    // A path that only another host has is no path here.
    assert_eq!(id(&find(&table, "here.org", "/only", "GET")), Some(4));
    assert_eq!(id(&find(&table, "x.org", "/only", "GET")), Some(5));
    // A path that the narrower hosts do not have is left to the wider ones.
    assert_eq!(id(&find(&table, "y.b.example.org", "/b", "GET")), Some(5));
}

#[test]
fn a_route_for_all_paths_shuts_its_host_whatever_else_there_is() {
    let table = table(&[
        "GET,POST /{*all} shut.org *.shut.org",
        "GET /a",
        "GET /",
        "GET /{x}/b",
        "GET /a/b *.org",
        "GET /open x.shut.org",
    ]);
    for host in ["shut.org", "SHUT.org:8080", "x.shut.org", "y.x.shut.org"] {
        for path in ["/", "/a", "/a/b", "/c"] {
            assert_eq!(id(&find(&table, host, path, "GET")), Some(0), "{host} {path}");
        }
    }
    assert_eq!(id(&find(&table, "x.shut.org", "/open", "GET")), Some(5));
    assert_eq!(id(&find(&table, "g.org", "/a/b", "GET")), Some(4));
    assert_eq!(id(&find(&table, "g.org", "/a", "GET")), Some(1));
}

#[test]
fn a_route_gives_its_own_names_to_a_shared_shape() {
    let table = table(&["GET /users/{id}", "POST /users/{name}"]);
    let target = Target::read(b"/users/a%40b").unwrap();
    for (method, name) in [("GET", "id"), ("POST", "name")] {
        let Found::Route { template, .. } = find(&table, "a", "/users/a%40b", method) else {
            panic!("{method}")
        };
        assert_eq!(template.parameter(target.path(), name), Some("a@b"));
    }
}

#[test]
fn all_conflicts_are_told_at_once() {
    let lines = [
        "GET,POST /a/{x} h.org",
        "GET /a/{y}",
        "PUT,POST /a/{z}/ g.org H.org.",
        "GET,GET /a/{w} *.h.org *.h.org",
        "GET /a/{v}",
        "GET /caf%C3%A9",
        "GET /café",
    ];
    let specs = lines.iter().enumerate().map(|(id, line)| spec(id, line)).collect();
    let conflict = |first, second, method: &str, host: Option<&str>| Conflict {
        first: RouteIndex::new(first),
        second: RouteIndex::new(second),
        method: method.to_owned(),
        host: host.map(|host| HostPattern::parse(host).unwrap()),
    };
    assert_eq!(
        RouteTable::build(specs, false, PathCase::Sensitive).unwrap_err(),
        [conflict(0, 2, "POST", Some("h.org")), conflict(1, 4, "GET", None), conflict(5, 6, "GET", None)]
    );
}

#[test]
fn ten_thousand_routes_need_no_more_steps_than_ten() {
    let lines = |count: usize| {
        (0..count).map(|n| format!("GET,POST /service{n}/orders/{{id}}/items")).collect::<Vec<_>>()
    };
    let build = |count| {
        let lines = lines(count);
        table(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(build(10).most_steps(), 5);
    assert_eq!(build(10_000).most_steps(), 5);
    assert_eq!(id(&find(&build(10_000), "a", "/service9999/orders/7/items", "POST")), Some(9999));
}

#[test]
fn a_hostile_path_visits_no_node_twice() {
    // Every arrangement of `a` and `{x}` in 12 segments: the path of `a`s alone that ends otherwise tries all.
    let lines: Vec<String> = (0..4096_u32)
        .map(|bits| {
            let segment = |at: u32| if bits >> at & 1 == 0 { "/a".to_owned() } else { format!("/{{x{at}}}") };
            format!("GET {}/end", (0..12).map(segment).collect::<String>())
        })
        .collect();
    let table = table(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(table.most_steps(), (1 << 13) - 1 + 4096);
    assert_eq!(find(&table, "a", &format!("{}/other", "/a".repeat(12)), "GET"), Found::NoRoute);
    assert_eq!(find(&table, "a", &"/a".repeat(30_000), "GET"), Found::NoRoute);
    assert_eq!(
        find(&table, "a", &format!("/{}", "a/".repeat(11) + &"b".repeat(60_000)), "GET"),
        Found::NoRoute
    );
    assert_eq!(id(&find(&table, "a", &format!("{}/end", "/a".repeat(12)), "GET")), Some(0));
}
