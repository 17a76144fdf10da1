//! Permissions: their two forms, and sets of those that the configuration names.
//!
//! A route asks only for permissions that the configuration names. These are numbered once, so a verified token's
//! permissions become a bit set, and a route's check takes a few bit operations. Names are compared byte by byte: there
//! are no patterns, and letter case matters.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use smallvec::SmallVec;

use crate::index::PermissionIndex;
use crate::lookup::Lookup;

/// The form of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "snake_case"))]
pub enum PermissionFormat {
    /// Lower-case letters and _ on both sides of one colon: `^[a-z_]+:[a-z_]+$`.
    #[default]
    ResourceAction,
    /// A scope-token of RFC 6749 section 3.3.
    ScopeToken,
}

impl PermissionFormat {
    /// Whether `text` is a permission of this form.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::ResourceAction => {
                let mut has_colon = false;
                let is_good = text.bytes().enumerate().all(|(index, byte)| match byte {
                    b'a'..=b'z' | b'_' => true,
                    b':' => index > 0 && !std::mem::replace(&mut has_colon, true),
                    _ => false,
                });
                is_good && has_colon && !text.ends_with(':')
            }
            // RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
            Self::ScopeToken => {
                !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
            }
        }
    }

    /// What a permission of this form looks like, for messages.
    pub const fn example(self) -> &'static str {
        match self {
            Self::ResourceAction => {
                "lower-case letters and _ on both sides of one colon, such as orders:read"
            }
            Self::ScopeToken => {
                "visible ASCII characters without space, quote and backslash (RFC 6749 section 3.3)"
            }
        }
    }
}

/// The permissions that the configuration names, each with its index.
#[derive(Debug, Default)]
pub struct PermissionBook {
    indexes: Lookup,
    names: Vec<String>,
}

impl PermissionBook {
    /// The index of `name`, which gets one if it has none yet.
    pub fn enter(&mut self, name: &str) -> PermissionIndex {
        let new = self.names.len();
        let known = self.indexes.enter(name, new);
        if known.is_none() {
            self.names.push(name.to_owned());
        }
        PermissionIndex::new(known.unwrap_or(new))
    }

    /// The index of `name`, if the configuration names it.
    pub fn index(&self, name: &str) -> Option<PermissionIndex> {
        self.indexes.get(name).map(PermissionIndex::new)
    }

    /// The names of `permissions`, in their order.
    pub fn names<'a>(&'a self, permissions: &'a [PermissionIndex]) -> impl Iterator<Item = &'a str> {
        permissions.iter().filter_map(|index| self.names.get(index.get())).map(String::as_str)
    }
}

/// A set of permissions of a [`PermissionBook`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionSet(SmallVec<[u64; 2]>);

impl PermissionSet {
    /// Adds a permission.
    pub fn insert(&mut self, permission: PermissionIndex) {
        let (word, bit) = (permission.get() / 64, permission.get() % 64);
        while self.0.len() <= word {
            self.0.push(0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << bit;
        }
    }

    /// Whether a permission is in the set.
    pub fn contains(&self, permission: PermissionIndex) -> bool {
        let (word, bit) = (permission.get() / 64, permission.get() % 64);
        self.0.get(word).is_some_and(|bits| bits >> bit & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_action_form_is_exact() {
        let accepts = |text| PermissionFormat::ResourceAction.accepts(text);
        assert!(accepts("orders:read") && accepts("_:_"));
        for bad in ["", "orders", ":read", "orders:", "Orders:read", "a:b:c", "a: b", "a:b\n", "ä:b", "a1:b"]
        {
            assert!(!accepts(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_scope_token_form_is_that_of_rfc_6749() {
        let accepts = |text| PermissionFormat::ScopeToken.accepts(text);
        assert!(accepts("https://api.example/read") && accepts("!") && accepts("A.b-C:*"));
        for bad in ["", "a b", "a\"b", "a\\b", "é", "\u{7f}"] {
            assert!(!accepts(bad), "{bad:?}");
        }
    }

    #[test]
    fn each_form_is_described_in_words_of_its_own() {
        assert!(PermissionFormat::ResourceAction.example().contains("orders:read"));
        assert!(PermissionFormat::ScopeToken.example().contains("RFC 6749"));
    }

    #[test]
    fn names_are_given_back_by_index_and_indexes_by_name() {
        let mut book = PermissionBook::default();
        let entered = ["a:a", "b:b", "c:c", "b:b"].map(|name| book.enter(name));
        assert_eq!(entered, [0, 1, 2, 1].map(PermissionIndex::new));
        let known = ["c:c", "a:a", "d:d"].map(|name| book.index(name));
        assert_eq!(known, [Some(2), Some(0), None].map(|number| number.map(PermissionIndex::new)));
        let asked = [2, 0, 3].map(PermissionIndex::new);
        assert_eq!(book.names(&asked).collect::<Vec<_>>(), ["c:c", "a:a"]);
    }

    #[test]
    fn a_set_holds_what_was_inserted_and_nothing_else() {
        let mut set = PermissionSet::default();
        for number in [0, 63, 64, 200] {
            set.insert(PermissionIndex::new(number));
        }
        let held: Vec<usize> =
            (0..500).filter(|&number| set.contains(PermissionIndex::new(number))).collect();
        assert_eq!(held, [0, 63, 64, 200]);
    }
}
