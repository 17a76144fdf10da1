use std::collections::BTreeSet;

use api_guard_testkit::vectors::{PATHS, foreign};
use proptest::prelude::*;

use super::template::Segment;
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

/// The rules, without a tree: every route is scored, the least score wins.
fn model(
    specs: &[RouteSpec],
    host: &str,
    path: &str,
    method: &str,
) -> Result<usize, Option<BTreeSet<String>>> {
    let segments: Vec<&str> = path.split('/').skip(1).filter(|segment| !segment.is_empty()).collect();
    let score = |template: &Template| {
        let mut kinds = Vec::new();
        // How many numbers the segment before took.
        let mut last = 1;
        for (index, segment) in template.segments().iter().enumerate() {
            if segments.get(index).is_some() {
                last = 1;
            }
            match (segment, segments.get(index)) {
                (Segment::Literal(text), Some(sent)) if text == sent => kinds.push(0),
                (Segment::Affixed(affixed), Some(sent)) => {
                    let (before, behind) = (affixed.before(), affixed.behind());
                    let inner = sent.strip_prefix(before).and_then(|sent| sent.strip_suffix(behind));
                    inner.filter(|inner| !inner.is_empty())?;
                    let length = before.len().saturating_add(behind.len());
                    // Longer literals first, then more of them before.
                    kinds.extend([
                        1,
                        usize::MAX.saturating_sub(length),
                        usize::MAX.saturating_sub(before.len()),
                    ]);
                    last = 3;
                }
                (Segment::Parameter(_), Some(_)) => kinds.push(2),
                (Segment::Rest(_), Some(_)) => return Some([kinds, vec![4]].concat()),
                // The rest's root: behind all that end in this segment, before a rest that takes it.
                (Segment::Rest(_), None) if index == segments.len() => {
                    kinds.insert(kinds.len().saturating_sub(last), 3);
                    return Some(kinds);
                }
                _ => return None,
            }
        }
        (template.segments().len() == segments.len()).then_some(kinds)
    };
    // Exact hosts first, then longer domains, then any.
    let width = |spec: &RouteSpec| {
        let widths = spec.hosts.iter().filter_map(|pattern| {
            let text = pattern.to_string();
            match text.strip_prefix('*') {
                Some(domain) => host.ends_with(domain).then_some(1000_usize.saturating_sub(domain.len())),
                None => (text == host).then_some(0),
            }
        });
        if spec.hosts.is_empty() { Some(usize::MAX) } else { widths.min() }
    };
    let mut fitting: Vec<_> =
        specs.iter().filter_map(|spec| Some((score(&spec.template)?, width(spec)?, spec))).collect();
    fitting.sort_by_key(|(score, width, _)| (*width, score.clone()));
    let Some(best) = fitting.first().map(|(score, width, _)| (score.clone(), *width)) else {
        return Err(None);
    };
    fitting.retain(|(score, width, _)| (score, *width) == (&best.0, best.1));
    for wanted in [method, if method == "HEAD" { "GET" } else { method }] {
        let named = |spec: &RouteSpec| spec.methods.iter().any(|own| own == wanted);
        if let Some((_, _, spec)) = fitting.iter().find(|(_, _, spec)| named(spec)) {
            return Ok(spec.index.get());
        }
    }
    Err(Some(fitting.iter().flat_map(|(_, _, spec)| spec.methods.clone()).collect()))
}

fn specs() -> impl Strategy<Value = Vec<RouteSpec>> {
    let segment =
        prop::sample::select(vec!["/a", "/b", "/a", "/b", "/{}", "/{}:b", "/a{}", "/a{}:b", "/ab{}"]);
    let path = (prop::collection::vec(segment, 0..5), any::<bool>()).prop_map(|(segments, rest)| {
        let named =
            segments.iter().enumerate().map(|(index, text)| text.replace("{}", &format!("{{p{index}}}")));
        let path: String = named.chain(rest.then(|| "/{*rest}".to_owned())).collect();
        if path.is_empty() { "/".to_owned() } else { path }
    });
    let hosts =
        prop::sample::select(vec!["", "", " h.org", " *.org", " *.h.org", " x.h.org", " h.org *.h.org"]);
    let methods = prop::sample::select(vec!["GET", "POST", "HEAD", "GET,POST"]);
    let line = (methods, path, hosts).prop_map(|(methods, path, hosts)| format!("{methods} {path}{hosts}"));
    prop::collection::vec(line, 1..25)
        .prop_map(|lines| lines.iter().enumerate().map(|(id, line)| spec(id, line)).collect())
}

/// Whether two routes claim the same, told from their texts.
fn collide(one: &RouteSpec, other: &RouteSpec) -> bool {
    let shape = |spec: &RouteSpec| spec.template.to_string();
    let shared = one.hosts.iter().any(|host| other.hosts.contains(host));
    shape(one) == shape(other)
        && (shared || (one.hosts.is_empty() && other.hosts.is_empty()))
        && one.methods.iter().any(|method| other.methods.contains(method))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_table_agrees_with_scoring_every_route(
        specs in specs(),
        paths in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["/a", "/b", "/c", "/a:b", "/ab:b", "/aa"]), 0..6), 20),
    ) {
        let mut kept: Vec<RouteSpec> = Vec::new();
        for spec in &specs {
            if !kept.iter().any(|other| collide(other, spec)) {
                kept.push(spec.clone());
            }
        }
        prop_assert_eq!(RouteTable::build(specs.clone(), false, PathCase::Sensitive).is_ok(), kept.len() == specs.len());
        let table = RouteTable::build(kept.clone(), false, PathCase::Sensitive).unwrap();
        for path in paths {
            let path = if path.is_empty() { "/".to_owned() } else { path.concat() };
            for host in ["h.org", "x.h.org", "y.x.h.org", "g.org", "org", "a.com"] {
                for method in ["GET", "POST", "HEAD", "PUT"] {
                    let found = match find(&table, host, &path, method) {
                        Found::Route { index, .. } => Ok(index.get()),
                        Found::MethodNotAllowed { allowed } => {
                            let unique: BTreeSet<_> = allowed.iter().map(|it| it.to_string()).collect();
                            prop_assert!(allowed.is_sorted() && allowed.len() == unique.len());
                            Err(Some(unique))
                        }
                        Found::NoRoute => Err(None),
                        Found::Ambiguous => panic!("{path} has no encodings"),
                    };
                    prop_assert_eq!(found, model(&kept, host, &path, method), "{} {} {}", method, host, path);
                }
            }
        }
    }
}

/// Where a table with a public prefix leads, of which anything else is not public: to the prefix, or nowhere.
fn leads_to_the_public_prefix(path: &str) -> bool {
    let table = table(&["GET /{*any}", "GET /public/{*rest}"]);
    let Ok(target) = Target::read(path.as_bytes()) else { return false };
    let host = Host::read(b"a").unwrap();
    assert_eq!(id(&table.find(&host, &target, "GET")), Some(1), "{path}");
    true
}

#[test]
fn what_looks_like_a_traversal_is_refused_or_stays_below_its_prefix() {
    for vector in PATHS {
        let path = format!("/public/{}", vector.rest);
        assert_eq!(leads_to_the_public_prefix(&path), vector.is_ordinary, "{path}");
    }
}

#[test]
fn no_known_traversal_leads_out_of_a_public_prefix() {
    let ordinary = |line: &str| {
        [".htaccess", "C:/boot.ini", "C:/inetpub/wwwroot/global.asa"].contains(&line)
            || ["0x2e", "0x2f", "0x5c"].iter().any(|spelled| line.contains(spelled))
            || line.split('/').any(|segment| segment.len() > 2 && segment.bytes().all(|byte| byte == b'.'))
    };
    for (name, lines, accepted) in
        [("directory_traversal.txt", 140, 4), ("traversals-8-deep-exotic-encoding.txt", 887, 57)]
    {
        let Some(path) = foreign(&format!("path_traversal/{name}")) else { return };
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        let read: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(read.len(), lines, "{name}");
        let mut passed = Vec::new();
        for line in read {
            let slash = if line.starts_with('/') { "" } else { "/" };
            let sent = format!("/public{slash}{}", line.replace("{FILE}", "secret"));
            if leads_to_the_public_prefix(&sent) {
                assert!(ordinary(line), "{line} is accepted");
                passed.push(line);
            }
        }
        assert_eq!(passed.len(), accepted, "{name}: {passed:#?}");
    }
}
