//! What may the owner of a token do? That stands in the claims of permissions, and in roles that the policy turns into
//! permissions.

use super::claims::Claims;
use super::fault::invalid;
use super::keys::SigningKey;
use super::{TokenFault, TokenPolicy};
use crate::json::Json;
use crate::json::text::text_of;
use crate::permission::{PermissionBook, PermissionSet};

/// Most tokens' permissions are shorter together.
const USUAL_BYTES: usize = 64;

/// Permissions while they are read.
struct Grants<'b> {
    book: &'b PermissionBook,
    /// Those that the configuration names.
    set: PermissionSet,
    /// All of them, separated by spaces, which no permission contains.
    text: String,
}

impl Grants<'_> {
    fn grant(&mut self, permission: &str) {
        if let Some(index) = self.book.index(permission) {
            self.set.insert(index);
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(permission);
    }

    fn grant_once(&mut self, permission: &str) {
        if !self.holds(permission) {
            self.grant(permission);
        }
    }

    fn holds(&self, permission: &str) -> bool {
        self.text.split(' ').any(|held| held == permission)
    }
}

/// The permissions of a token, those that its roles grant included, and all of them as text.
///
/// # Errors
///
/// A claim of permissions or roles has a wrong form.
pub(super) fn read(
    policy: &TokenPolicy,
    claims: &Claims<'_>,
    book: &PermissionBook,
    key: &SigningKey,
) -> Result<(PermissionSet, Box<str>), TokenFault> {
    let rule = policy.keys.rule(key);
    let slots = rule.and_then(|rule| rule.permissions.as_ref()).unwrap_or(&policy.permissions);
    let format = rule.and_then(|rule| rule.permission_format).unwrap_or(policy.permission_format);
    let mut grants = Grants { book, set: PermissionSet::default(), text: String::with_capacity(USUAL_BYTES) };
    for (index, slot) in slots.iter().enumerate() {
        let Some(value) = claims.value(*slot) else { continue };
        let wrong = |other: &Json<'_>| TokenFault::PermissionsMalformed(text_of(other));
        each_text_or_word(value, wrong, |entry| {
            if !format.accepts(entry) {
                return Err(TokenFault::PermissionsMalformed(entry.to_owned()));
            }
            // What one claim holds is passed on as it is; a further claim adds what is new.
            if index == 0 {
                grants.grant(entry)
            } else {
                grants.grant_once(entry)
            }
            Ok(())
        })?;
    }
    if let Some(roles) = &policy.roles {
        let why = "is neither a list of texts nor a text with spaces between roles";
        for claim in &roles.claims {
            let Some(value) = claims.value(claim.slot) else { continue };
            each_text_or_word(
                value,
                |_| invalid(&claim.name, why),
                |role| {
                    let granted = roles.grants.get(role).and_then(|index| roles.granted.get(index));
                    granted.into_iter().flatten().for_each(|permission| grants.grant_once(permission));
                    Ok(())
                },
            )?;
        }
    }
    Ok((grants.set, grants.text.into()))
}

/// Calls `each` with the entries of a list, or the words of a string; a run of spaces separates like one. `wrong` gives the
/// fault for anything else.
fn each_text_or_word(
    value: &Json<'_>,
    wrong: impl Fn(&Json<'_>) -> TokenFault,
    mut each: impl FnMut(&str) -> Result<(), TokenFault>,
) -> Result<(), TokenFault> {
    match value {
        Json::List(list) => list.elements().try_for_each(|entry| match entry.as_text() {
            Some(text) => each(text),
            None => Err(wrong(&entry)),
        }),
        Json::Text(text) => text.split(' ').filter(|word| !word.is_empty()).try_for_each(each),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Err(wrong(value)),
    }
}
