//! What is wrong with the values of a configuration, as it is found.

use std::num::NonZeroU32;

use crate::json::{Path, Pointer};
use crate::lookup::Lookup;

/// One thing that is wrong. [`Document`](crate::config::document::Document) adds the offending value.
pub(in crate::config) struct Problem {
    /// Where.
    pub(in crate::config) at: Pointer,
    /// What is wrong.
    pub(in crate::config) problem: String,
    /// What to write instead.
    pub(in crate::config) instead: String,
}

/// All problems found so far, in no particular order.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, at: &Path<'_>, problem: impl AsRef<str>, instead: impl AsRef<str>) {
        self.note(at, problem.as_ref(), instead.as_ref());
    }

    // Not inlined: about a hundred lines call it, and every copy would make the module larger.
    #[inline(never)]
    fn note(&mut self, at: &Path<'_>, problem: &str, instead: &str) {
        self.0.push(Problem { at: at.pointer(), problem: problem.to_owned(), instead: instead.to_owned() });
    }

    /// `value` if it is within `least..=most`.
    pub(super) fn within(
        &mut self,
        at: &Path<'_>,
        value: u64,
        least: u64,
        most: u64,
        unit: &str,
    ) -> Option<u64> {
        if (least..=most).contains(&value) {
            return Some(value);
        }
        self.add(at, "out of range", format!("write a number of {unit} from {least} to {most}"));
        None
    }

    /// `value` if it is present and within `1..=most`.
    pub(super) fn positive(
        &mut self,
        at: &Path<'_>,
        value: Option<u64>,
        most: u32,
        unit: &str,
    ) -> Option<NonZeroU32> {
        let Some(value) = value else {
            self.add(at, "missing", format!("write a number of {unit} from 1 to {most}"));
            return None;
        };
        let value = self.within(at, value, 1, u64::from(most), unit)?;
        NonZeroU32::new(u32::try_from(value).ok()?)
    }

    /// Notes duplicates in a list.
    pub(super) fn unique<'a>(&mut self, at: &Path<'_>, values: impl IntoIterator<Item = &'a String>) {
        let mut seen = Lookup::default();
        for (index, value) in values.into_iter().enumerate() {
            if seen.enter(value, index).is_some() {
                self.repeated(&at.index(index));
            }
        }
    }

    /// Notes a value that its list has already.
    pub(super) fn repeated(&mut self, at: &Path<'_>) {
        self.add(at, "appears more than once in this list", "remove the duplicate");
    }

    /// Notes an empty string where a claim's value must be.
    pub(super) fn empty(&mut self, at: &Path<'_>) {
        self.add(at, "empty string", "write the claim's value, or remove it");
    }

    /// Notes duplicates and empty strings in a list of values that a claim is compared with.
    pub(super) fn claim_values(&mut self, at: &Path<'_>, values: &[String]) {
        self.unique(at, values);
        for (index, value) in values.iter().enumerate() {
            if value.is_empty() {
                self.empty(&at.index(index));
            }
        }
    }
}
