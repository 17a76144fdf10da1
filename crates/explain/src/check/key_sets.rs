//! Which key sets share a cluster, but not what it leads to?

use api_guard_core::config::raw::{RawConfig, RawJwks};

use super::lint::Warnings;

pub(super) fn check(raw: &RawConfig, out: &mut Warnings) {
    for (pointer, text) in other_hosts(raw) {
        out.add("jwks-shared-cluster", pointer, text);
    }
}

/// The sets whose cluster an earlier set has for another host, and a fleet whose cluster is that of a set: the pointer to what
/// has to be changed, and what is wrong.
pub fn other_hosts(raw: &RawConfig) -> Vec<(String, String)> {
    let mut firsts: Vec<(usize, &str, &str)> = Vec::new();
    let mut others = Vec::new();
    for (index, set) in raw.tokens.key_sets.iter().enumerate() {
        let Some(RawJwks { cluster: Some(cluster), authority: Some(authority), .. }) = &set.jwks else {
            continue;
        };
        match firsts.iter().find(|(_, known, _)| known == cluster) {
            None => firsts.push((index, cluster, authority)),
            Some((_, _, first)) if is_same(first, authority) => {}
            Some((of, _, first)) => others.push((
                format!("/tokens/key_sets/{index}/jwks/authority"),
                format!(
                    "{authority:?}: the cluster {cluster:?} leads to one host, and /tokens/key_sets/{of} names {first:?}; name \
                     a cluster of its own for each host"
                ),
            )),
        }
    }
    let of_fleet = raw.fleet.as_ref().and_then(|fleet| fleet.cluster.as_deref());
    if let Some((of, cluster, _)) = firsts.iter().find(|(_, known, _)| Some(*known) == of_fleet) {
        others.push((
            "/fleet/cluster".to_owned(),
            format!(
                "{cluster:?}: /tokens/key_sets/{of} is fetched over this cluster by HTTP, which the store does not speak; name \
                 a cluster of its own, such as \"api-guard-redis\""
            ),
        ));
    }
    others
}

/// Whether two authorities are one: letter case and the port of HTTPS make no difference.
fn is_same(one: &str, other: &str) -> bool {
    let bare = |authority: &str| authority.to_ascii_lowercase().trim_end_matches(":443").to_owned();
    bare(one) == bare(other)
}
