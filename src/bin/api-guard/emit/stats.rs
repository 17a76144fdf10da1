//! The labels of the metrics, as hosts are told them that have a bootstrap of their own.

use super::{envoy, native, text};

/// The entries of `stats_tags`, as the bootstrap has them, indented.
pub(super) fn tags(is_native: bool, indent: usize) -> String {
    let lines: Vec<String> =
        entries(is_native).iter().map(|entry| format!("{:indent$}- {entry}", "")).collect();
    lines.join("\n")
}

/// The same as patches that append each entry (RFC 6902).
pub(super) fn patches(is_native: bool, indent: usize) -> String {
    let patch = |entry: &String| {
        let line = format!("- {{ op: add, path: /stats_config/stats_tags/-, value: {entry} }}");
        format!("{:indent$}{line}", "")
    };
    entries(is_native).iter().map(patch).collect::<Vec<_>>().join("\n")
}

fn entries(is_native: bool) -> Vec<String> {
    let template = if is_native { native::template(envoy::TEMPLATE) } else { envoy::TEMPLATE.to_owned() };
    let after = template.split_once("  stats_tags:\n").map(|(_, after)| after.to_owned()).unwrap_or_default();
    let entry = |line: &str| line.trim().strip_prefix("- ").map(str::to_owned);
    after.lines().map_while(entry).collect()
}

/// Labels as a map of YAML.
pub(super) fn labels(labels: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| format!("{}: {}", text::quoted(name), text::quoted(value));
    format!("{{ {} }}", labels.iter().map(pair).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_of_the_bootstrap_is_told() {
        let expected = envoy::TEMPLATE.matches("tag_name: ").count();
        for is_native in [false, true] {
            assert_eq!(entries(is_native).len(), expected);
        }
        assert!(expected >= 7 && entries(true).iter().all(|entry| entry.contains("'^dynamicmodulescustom")));
    }
}
