//! Where a value stands in a JSON document (RFC 6901).

use std::fmt;

/// The path to a value of a JSON document: a JSON Pointer (RFC 6901).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer(Vec<Step>);

/// One step down: into an object or into an array.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The element of an array at this index.
    Index(usize),
    /// The member of this name of an object.
    Field(String),
}

impl Pointer {
    /// The whole document.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The pointer to the member `name` of the object here.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.step(Step::Field(name.to_owned()))
    }

    /// The pointer to the element `index` of the array here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    pub(crate) fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(crate) fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            Step::Index(index) => write!(f, "/{index}"),
            Step::Field(name) => write!(f, "/{}", name.replace('~', "~0").replace('/', "~1")),
        })
    }
}

/// The path from the root to a value, as a linked list on the stack.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Index(&'p Path<'p>, usize),
    Field(&'p Path<'p>, &'p str),
}

impl Path<'_> {
    /// The path to the member `name` of the object here.
    // Not inlined: hundreds of lines call it.
    #[inline(never)]
    pub(crate) fn field<'q>(&'q self, name: &'q str) -> Path<'q> {
        Path::Field(self, name)
    }

    /// The path to the element `index` of the array here.
    pub(crate) fn index(&self, index: usize) -> Path<'_> {
        Path::Index(self, index)
    }

    /// The same, to be kept.
    pub(crate) fn pointer(&self) -> Pointer {
        match self {
            Self::Root => Pointer::root(),
            Self::Index(parent, index) => parent.pointer().index(*index),
            Self::Field(parent, name) => parent.pointer().field(name),
        }
    }
}
