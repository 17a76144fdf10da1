//! Where does a reference within the document lead (RFC 6901)?

use std::cell::RefCell;
use std::collections::HashMap;

use crate::source::tree::Node;

/// The targets of references. An object on the way to one is indexed once, because it may have as many members as there
/// are references to them.
pub(super) struct References<'n> {
    root: &'n Node,
    /// The members of objects, by the pointer to the object.
    members: RefCell<HashMap<String, HashMap<&'n str, &'n Node>>>,
}

impl<'n> References<'n> {
    /// Those within a document.
    pub(super) fn of(root: &'n Node) -> Self {
        Self { root, members: RefCell::default() }
    }

    /// The value itself, or what its local reference leads to. `None` for a reference to another file, or to nothing.
    pub(super) fn resolve(&self, node: &'n Node) -> Option<&'n Node> {
        let mut node = node;
        // A reference may lead to another one, but not in a circle.
        for _ in 0..8 {
            let Some(reference) = node.field("$ref").and_then(Node::text) else { return Some(node) };
            node = self.at(reference.strip_prefix('#')?)?;
        }
        None
    }

    fn at(&self, pointer: &str) -> Option<&'n Node> {
        let Some((above, step)) = pointer.rsplit_once('/') else { return Some(self.root) };
        if let Some(members) = self.members.borrow().get(above) {
            return members.get(unescaped(step).as_str()).copied();
        }
        let node = self.at(above)?;
        if node.members().is_empty() {
            return node.at(&format!("/{step}"));
        }
        let members = node.members().iter().map(|(key, node)| (key.name.as_str(), node)).collect();
        self.members.borrow_mut().insert(above.to_owned(), members);
        self.at(pointer)
    }
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}
