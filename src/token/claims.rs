//! The claims that the configuration asks about, read once from the bytes that the MAC was over (RFC 7519 section 4).
//!
//! Claims that nobody asks about are decoded and thrown away. A name that is read and stands twice refuses the token:
//! the RFC lets a reader take the last one, and another reader may take the first.

use crate::bytes::same;
use crate::json::Json;
use crate::json::text::text_of;
use crate::time::UnixNanos;

/// A place for one claim that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub(super) usize);

/// A place for the text of one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextSlot(pub(super) usize);

/// Registered claims, which are always read.
pub(super) const SUB: Slot = Slot(0);
pub(super) const EXP: Slot = Slot(1);
pub(super) const NBF: Slot = Slot(2);
pub(super) const IAT: Slot = Slot(3);
pub(super) const ISS: Slot = Slot(4);
pub(super) const AUD: Slot = Slot(5);
pub(super) const JTI: Slot = Slot(6);
const REGISTERED: [&str; 7] = ["sub", "exp", "nbf", "iat", "iss", "aud", "jti"];

/// Which claims are read.
#[derive(Debug)]
pub struct ClaimsReader {
    /// Names of the top level of the claims.
    names: Vec<String>,
    /// For each slot: the place in `names`, and the way down from there.
    slots: Vec<(usize, Vec<String>)>,
    /// Of these slots the text is kept.
    texts: Vec<Slot>,
}

impl Default for ClaimsReader {
    fn default() -> Self {
        Self {
            names: REGISTERED.iter().map(|&name| name.to_owned()).collect(),
            slots: (0..REGISTERED.len()).map(|place| (place, Vec::new())).collect(),
            texts: Vec::new(),
        }
    }
}

/// Why claims were refused as a whole.
#[derive(Debug, PartialEq, Eq)]
pub enum ClaimsProblem {
    /// Not one JSON object in UTF-8.
    NotAnObject,
    /// A name that is read stands more than once.
    Repeated(String),
}

impl ClaimsReader {
    /// The slot for the claim of this configured name, in which dots go into objects.
    pub fn slot(&mut self, configured: &str) -> Slot {
        let mut steps = configured.split('.').map(str::to_owned);
        let top = steps.next().unwrap_or_default();
        let way: Vec<String> = steps.collect();
        let place = match self.names.iter().position(|name| *name == top) {
            Some(place) => place,
            None => {
                self.names.push(top);
                self.names.len().saturating_sub(1)
            }
        };
        let slot = (place, way);
        if let Some(known) = self.slots.iter().position(|known| *known == slot) {
            return Slot(known);
        }
        self.slots.push(slot);
        Slot(self.slots.len().saturating_sub(1))
    }

    /// The place of this slot's text, which is kept with the token.
    pub fn text(&mut self, slot: Slot) -> TextSlot {
        let place = self.texts.iter().position(|known| *known == slot).unwrap_or(self.texts.len());
        if place == self.texts.len() {
            self.texts.push(slot);
        }
        TextSlot(place)
    }

    /// The slots whose text is kept, by the places of the texts.
    pub(super) fn texts(&self) -> &[Slot] {
        &self.texts
    }

    /// Reads a decoded payload.
    pub fn read<'c>(&'c self, payload: &'c [u8]) -> Result<Claims<'c>, ClaimsProblem> {
        let text = std::str::from_utf8(payload).map_err(|_| ClaimsProblem::NotAnObject)?;
        let Ok(Json::Object(members)) = Json::read(text) else { return Err(ClaimsProblem::NotAnObject) };
        let mut values = vec![None; self.names.len()];
        for (name, value) in members {
            let mut places = self.names.iter().zip(&mut values);
            let Some((name, place)) = places.find(|(known, _)| same(known.as_bytes(), name.as_bytes()))
            else {
                continue;
            };
            if value.repeats_a_name() || place.replace(value).is_some() {
                return Err(ClaimsProblem::Repeated(name.clone()));
            }
        }
        Ok(Claims { reader: self, values })
    }
}

/// The claims that were read.
#[derive(Debug)]
pub struct Claims<'c> {
    reader: &'c ClaimsReader,
    values: Vec<Option<Json<'c>>>,
}

impl<'c> Claims<'c> {
    /// The claim's value, if the token has it.
    pub fn value(&self, slot: Slot) -> Option<&Json<'c>> {
        let (place, way) = self.reader.slots.get(slot.0)?;
        let mut value = self.values.get(*place)?.as_ref()?;
        for step in way {
            value = value.member(step)?;
        }
        Some(value)
    }
}

/// A claim as text, for keys of limits, bindings and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimText {
    /// The text: a string itself, an integer's digits, anything else as compact JSON.
    pub text: String,
    /// Whether it was a string or an integer: only these can be compared with a path.
    pub exact: bool,
}

impl ClaimText {
    /// The text of `value`; `None` for null.
    pub(super) fn of(value: &Json<'_>) -> Option<Self> {
        let exact = match value {
            Json::Null => return None,
            Json::Text(text) => return Some(Self { text: text.clone().into_owned(), exact: true }),
            Json::Number(number) => number.is_u64() || number.is_i64(),
            Json::Bool(_) | Json::List(_) | Json::Object(_) => false,
        };
        Some(Self { text: text_of(&value.to_value()), exact })
    }
}

/// The last second of the year 9999: a later date is milliseconds by mistake.
pub(crate) const LATEST_SECOND: u64 = 253_402_300_799;
/// The first moment after it. JSON has no NaN that could slip past a comparison.
const END_OF_9999: f64 = 253_402_300_800.0;

/// A NumericDate (RFC 7519 section 2): an integer or a fraction, from 0 to the year 9999.
pub fn numeric_date(value: &Json<'_>) -> Result<UnixNanos, &'static str> {
    let Json::Number(number) = value else { return Err("is not a number") };
    if let Some(seconds) = number.as_u64() {
        return if seconds <= LATEST_SECOND {
            Ok(UnixNanos::from_seconds(seconds))
        } else {
            Err("is past the year 9999 (milliseconds?)")
        };
    }
    let seconds = number.as_f64().ok_or("is not a number")?;
    if seconds < 0.0 {
        return Err("is below 0");
    }
    if seconds >= END_OF_9999 {
        return Err("is past the year 9999 (milliseconds?)");
    }
    #[expect(clippy::as_conversions, reason = "within range by the tests above; the cast truncates")]
    let (whole, nanos) = (seconds.trunc() as u64, (seconds.fract() * 1e9) as u64);
    Ok(UnixNanos::from_nanos(UnixNanos::from_seconds(whole).nanos().saturating_add(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(names: &[&str]) -> (ClaimsReader, Vec<Slot>) {
        let mut reader = ClaimsReader::default();
        let slots = names.iter().map(|name| reader.slot(name)).collect();
        (reader, slots)
    }

    #[test]
    fn dots_go_into_objects() {
        let (reader, slots) = reader(&["realm_access.roles", "realm_access", "sub"]);
        let claims = reader.read(br#"{"sub":"a","realm_access":{"roles":["x"],"y":1}}"#).unwrap();
        assert_eq!(claims.value(slots[0]), Some(&Json::List(vec![Json::Text("x".into())])));
        assert!(matches!(claims.value(slots[1]), Some(Json::Object(_))));
        assert_eq!(slots[2], SUB);
        assert!(reader.read(br#"{"realm_access":"x"}"#).unwrap().value(slots[0]).is_none());
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
                matches!(reader.read(repeated.as_bytes()), Err(ClaimsProblem::Repeated(_))),
                "{repeated}"
            );
        }
        assert!(reader.read(br#"{"exp":1,"other":1,"other":2}"#).is_ok());
    }

    #[test]
    fn claims_are_one_object_and_every_value_is_decoded() {
        let (reader, _) = reader(&[]);
        for bad in
            ["", "[]", "\"a\"", "{}{}", "{} x", r#"{"x":"\ud800"}"#, r#"{"x":1e999}"#, "null", "{\"a\":}"]
        {
            assert_eq!(reader.read(bad.as_bytes()).err(), Some(ClaimsProblem::NotAnObject), "{bad}");
        }
        assert!(reader.read(b"{\"a\":\"\xff\"}").is_err());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(reader.read(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_date_is_a_number_of_seconds_before_the_year_10000() {
        let date = |text: &str| numeric_date(&Json::read(text).unwrap()).map(UnixNanos::nanos);
        assert_eq!(date("0"), Ok(0));
        assert_eq!(date("0.0"), Ok(0));
        assert_eq!(date("1.5"), Ok(1_500_000_000));
        assert_eq!(date("1e9"), Ok(1_000_000_000_000_000_000));
        assert_eq!(date("253402300799"), Ok(u64::MAX));
        assert!(date("253402300799.5").is_ok());
        for bad in [
            "-1",
            "-0.5",
            "253402300800",
            "253402300800.0",
            "1800000000000",
            "1e300",
            "\"1\"",
            "null",
            "true",
            "[1]",
        ] {
            assert!(date(bad).is_err(), "{bad}");
        }
    }
}
