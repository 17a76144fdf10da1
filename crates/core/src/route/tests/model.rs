//! The table against the rules without a tree: every route is scored, and the best score wins.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{find, spec};
use crate::route::template::Segment;
use crate::route::*;

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
