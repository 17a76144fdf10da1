//! The claims that the configuration uses, read once from the signed bytes (RFC 7519 section 4).
//!
//! Other claims are decoded and discarded. A token that repeats a claim in use is refused: the RFC lets a reader take
//! the last value, and another reader may take the first.

use smallvec::SmallVec;

use super::claim_path::ClaimPath;
use crate::json::{Json, Members, NotJson};

/// The slot of a claim that is read: the index of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub(super) usize);

/// The slot of a claim whose text is kept: the index of that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextSlot(pub(super) usize);

/// Registered claims, which are always read.
pub(crate) const SUB: Slot = Slot(0);
pub(super) const EXP: Slot = Slot(1);
pub(super) const NBF: Slot = Slot(2);
pub(super) const IAT: Slot = Slot(3);
pub(super) const ISS: Slot = Slot(4);
pub(super) const AUD: Slot = Slot(5);
pub(super) const JTI: Slot = Slot(6);
/// Those that are dates.
const DATES: [Slot; 3] = [EXP, NBF, IAT];
const REGISTERED: [&str; 7] = ["sub", "exp", "nbf", "iat", "iss", "aud", "jti"];

/// Which claims are read, by their configured names.
#[derive(Debug)]
pub struct ClaimsReader {
    /// Top-level claims, the registered ones first.
    tops: Vec<Top>,
    /// The number of claims that are read.
    slots: usize,
    /// The claims whose text is kept, by [`TextSlot`].
    texts: Vec<Slot>,
}

/// A top-level claim and the slots it fills.
#[derive(Debug)]
struct Top {
    name: String,
    /// The slot of the claim itself.
    slot: Slot,
    /// The slots of values inside it, and the member names that lead to them.
    within: Vec<(Slot, Vec<String>)>,
}

impl Default for ClaimsReader {
    fn default() -> Self {
        let mut reader = Self { tops: Vec::new(), slots: 0, texts: Vec::new() };
        for name in REGISTERED {
            reader.slot_of(name, &[]);
        }
        reader
    }
}

/// Why claims were refused as a whole.
#[derive(Debug, PartialEq, Eq)]
pub enum ClaimsProblem {
    /// Not one JSON object in UTF-8.
    NotAnObject,
    /// A claim in use is repeated, or repeats a name inside.
    Repeated(String),
}

impl From<NotJson> for ClaimsProblem {
    fn from(NotJson: NotJson) -> Self {
        Self::NotAnObject
    }
}

impl ClaimsReader {
    /// The slot of the claim at this path.
    pub fn slot(&mut self, path: &ClaimPath) -> Slot {
        let (name, way) = path.split();
        self.slot_of(name, way)
    }

    fn slot_of(&mut self, name: &str, way: &[String]) -> Slot {
        let index = match self.tops.iter().position(|top| top.name == name) {
            Some(index) => index,
            None => {
                let slot = self.new_slot();
                self.tops.push(Top { name: name.to_owned(), slot, within: Vec::new() });
                self.tops.len().saturating_sub(1)
            }
        };
        let next = Slot(self.slots);
        let Some(top) = self.tops.get_mut(index) else { return next };
        if way.is_empty() {
            return top.slot;
        }
        if let Some((slot, _)) = top.within.iter().find(|(_, known)| *known == way) {
            return *slot;
        }
        top.within.push((next, way.to_vec()));
        self.new_slot()
    }

    fn new_slot(&mut self) -> Slot {
        let slot = Slot(self.slots);
        self.slots = self.slots.saturating_add(1);
        slot
    }

    /// The slot of this claim's text, which is kept with the token from now on.
    pub fn text(&mut self, slot: Slot) -> TextSlot {
        let index = self.texts.iter().position(|known| *known == slot).unwrap_or(self.texts.len());
        if index == self.texts.len() {
            self.texts.push(slot);
        }
        TextSlot(index)
    }

    /// The claims whose text is kept, in the order of the texts.
    pub(super) fn texts(&self) -> &[Slot] {
        &self.texts
    }
}

/// The claims that were read, borrowed from the payload.
#[derive(Debug)]
pub struct Claims<'c> {
    values: SmallVec<[Option<Json<'c>>; USUAL]>,
}

/// Up to this many claims need no allocation: those of RFC 7519, permissions, roles, and a few more.
const USUAL: usize = 12;

impl<'c> Claims<'c> {
    /// Reads a decoded payload.
    ///
    /// # Errors
    ///
    /// [`ClaimsProblem::NotAnObject`], or else [`ClaimsProblem::Repeated`] for the first such claim.
    pub fn read(reader: &ClaimsReader, payload: &'c [u8]) -> Result<Self, ClaimsProblem> {
        let text = std::str::from_utf8(payload).map_err(|_| ClaimsProblem::NotAnObject)?;
        let mut claims = Self { values: SmallVec::new() };
        claims.values.resize_with(reader.slots, || None);
        let mut repeated = None;
        for member in Members::of(text) {
            let (name, value) = member?;
            let Some(top) = reader.tops.iter().find(|top| top.name == name) else {
                continue;
            };
            for (slot, way) in &top.within {
                claims.put(*slot, value.at(way));
            }
            if value.repeats_a_name() || claims.put(top.slot, Some(value)).is_some() {
                repeated.get_or_insert(top);
            }
        }
        repeated.map_or(Ok(claims), |top| Err(ClaimsProblem::Repeated(top.name.clone())))
    }

    fn put(&mut self, slot: Slot, value: Option<Json<'c>>) -> Option<Json<'c>> {
        self.values.get_mut(slot.0).and_then(|held| std::mem::replace(held, value))
    }

    /// The value of a claim, if the token has it. Null counts as no value, as many issuers write it for a claim that a
    /// user does not have; but a date that is null is told, because without it a token might live for ever.
    pub fn value(&self, slot: Slot) -> Option<&Json<'c>> {
        let value = self.values.get(slot.0)?.as_ref()?;
        (*value != Json::Null || DATES.contains(&slot)).then_some(value)
    }
}

/// A claim as text, for limit keys, bindings and headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimText<'t> {
    /// The string itself, an integer's digits, or anything else as compact JSON.
    pub text: &'t str,
    /// Whether the claim is a string or an integer: only these can be compared with a path.
    pub exact: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::text::text_of;

    fn reader(names: &[&str]) -> (ClaimsReader, Vec<Slot>) {
        let mut reader = ClaimsReader::default();
        let slots = names.iter().map(|name| reader.slot(&ClaimPath::parse(name).unwrap())).collect();
        (reader, slots)
    }

    fn read<'c>(reader: &ClaimsReader, payload: &'c [u8]) -> Result<Claims<'c>, ClaimsProblem> {
        Claims::read(reader, payload)
    }

    #[test]
    fn dots_go_into_objects() {
        let (reader, slots) = reader(&["realm_access.roles", "realm_access", "sub"]);
        let claims = read(&reader, br#"{"sub":"a","realm_access":{"roles":["x"],"y":1}}"#).unwrap();
        assert_eq!(claims.value(slots[0]).map(text_of).as_deref(), Some(r#"["x"]"#));
        assert!(matches!(claims.value(slots[1]), Some(Json::Object(_))));
        assert_eq!(slots[2], SUB);
        assert!(read(&reader, br#"{"realm_access":"x"}"#).unwrap().value(slots[0]).is_none());
    }

    #[test]
    fn an_escaped_dot_belongs_to_the_name() {
        let (reader, slots) = reader(&[r"https://a\.b/c.d", r"x.com\.example", "x.com.example"]);
        let payload = br#"{"https://a.b/c":{"d":1},"x":{"com.example":2,"com":{"example":3}}}"#;
        let claims = read(&reader, payload).unwrap();
        let values: Vec<_> = slots.iter().filter_map(|slot| claims.value(*slot).map(text_of)).collect();
        assert_eq!(values, ["1", "2", "3"]);
    }

    #[test]
    fn null_is_no_value_but_for_a_date() {
        let (reader, slots) = reader(&["a", "b.c", "b", "exp", "nbf", "iat"]);
        let payload = br#"{"a":null,"b":{"c":null},"exp":null,"nbf":null,"iat":null,"sub":null}"#;
        let claims = read(&reader, payload).unwrap();
        let has: Vec<bool> = slots.iter().map(|slot| claims.value(*slot).is_some()).collect();
        assert_eq!(has, [false, false, true, true, true, true]);
        assert!(claims.value(SUB).is_none());
    }

    #[test]
    fn a_slot_has_one_text_and_no_other_slot_has_it() {
        let (mut reader, slots) = reader(&["plan", "tenant"]);
        let [plan, tenant] = [slots[0], slots[1]].map(|slot| reader.text(slot));
        assert_ne!(plan, tenant);
        assert_eq!([slots[0], slots[1]].map(|slot| reader.text(slot)), [plan, tenant]);
        assert_eq!(reader.texts(), slots);
    }

    #[test]
    fn a_repeated_name_that_is_read_refuses_the_claims() {
        let (reader, _) = reader(&["realm_access.roles"]);
        for repeated in [
            r#"{"exp":1,"exp":2}"#,
            r#"{"exp":1,"\u0065xp":2}"#,
            r#"{"exp":null,"exp":2}"#,
            r#"{"realm_access":{"roles":[],"roles":["x"]}}"#,
        ] {
            assert!(
                matches!(read(&reader, repeated.as_bytes()), Err(ClaimsProblem::Repeated(_))),
                "{repeated}"
            );
        }
        assert!(read(&reader, br#"{"exp":1,"other":1,"other":2}"#).is_ok());
        for (text, problem) in [
            (r#"{"sub":1,"exp":1,"sub":2,"exp":2}"#, ClaimsProblem::Repeated("sub".to_owned())),
            (r#"{"exp":1,"exp":2}x"#, ClaimsProblem::NotAnObject),
            (r#"{"exp":1,"exp":2,"#, ClaimsProblem::NotAnObject),
        ] {
            assert_eq!(read(&reader, text.as_bytes()).err(), Some(problem), "{text}");
        }
    }

    #[test]
    fn claims_are_one_object_and_every_value_is_decoded() {
        let (reader, _) = reader(&[]);
        for bad in
            ["", "[]", "\"a\"", "{}{}", "{} x", r#"{"x":"\ud800"}"#, r#"{"x":1e999}"#, "null", "{\"a\":}"]
        {
            assert_eq!(read(&reader, bad.as_bytes()).err(), Some(ClaimsProblem::NotAnObject), "{bad}");
        }
        assert!(read(&reader, b"{\"a\":\"\xff\"}").is_err());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(read(&reader, deep.as_bytes()).is_err());
    }
}
