//! Paths that try to leave a public prefix.

use api_guard_testkit::vectors::{PATHS, foreign};

use super::{id, table};
use crate::request::target::Target;
use crate::route::*;

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
