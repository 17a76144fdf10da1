//! How does a program that is no Envoy tell the store of revocations?
//!
//! It enters them by the script and under the names that Envoys use, so that every Envoy of the fleet reads them. It is not among the
//! Envoys that the store counts. Nothing here sends anything.

use super::Names;
use super::link::login;
use super::outcome::CallOutcome;
use super::resp::{Commands, Item, Malformed, Reader};
use super::rule::Password;
use super::sharing;
use crate::revocation::SharedEntry;

/// What the store is told.
#[derive(Debug)]
pub struct Notice<'n> {
    /// The names under the fleet's secret.
    pub names: &'n Names,
    /// The store's user and password; without a user, the default one.
    pub login: Option<(Option<String>, Password)>,
    /// The revocations, at most a few hundred.
    pub entries: &'n [SharedEntry],
}

/// Why the store was not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTold {
    /// What is wrong.
    pub outcome: CallOutcome,
    /// The store's own words.
    pub said: Vec<u8>,
}

impl Notice<'_> {
    /// The commands to send over a connection of their own. `random`: bytes that nobody else has.
    pub fn commands(&self, random: [u8; 6]) -> Vec<u8> {
        let [a, b, c, d, e, f] = random;
        let fresh = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        let mut commands = Commands::default();
        login(self.login.as_ref(), &mut commands);
        sharing::write_told(self.entries.iter(), self.names, fresh, false, &mut commands);
        commands.end()
    }

    /// Reads all that the store has answered.
    ///
    /// # Errors
    ///
    /// [`NotTold`] if the store does not have the revocations, or perhaps not all of them.
    pub fn read(&self, reply: &[u8]) -> Result<(), NotTold> {
        self.answers(reply).unwrap_or_else(|Malformed| {
            let said = reply.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let said = said.strip_prefix(b"-").unwrap_or_default().to_vec();
            Err(NotTold { outcome: CallOutcome::of_cut(reply), said })
        })
    }

    fn answers(&self, reply: &[u8]) -> Result<Result<(), NotTold>, Malformed> {
        let refused = |outcome, said: &[u8]| Ok(Err(NotTold { outcome, said: said.to_vec() }));
        let mut reader = Reader::new(reply)?;
        if self.login.is_some() {
            match reader.next()?.ok_or(Malformed)? {
                Item::Status(_) => {}
                Item::Error(error) => return refused(CallOutcome::of_login(error), error),
                Item::Integer(_) | Item::Bulk(_) | Item::Null | Item::Array(_) => return Err(Malformed),
            }
        }
        match reader.numbers::<2>()? {
            Ok(_) if reader.next()?.is_none() => Ok(Ok(())),
            Ok(_) => Err(Malformed),
            Err(error) => refused(CallOutcome::of_error(error), error),
        }
    }
}
