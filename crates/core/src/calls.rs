//! What did the requests of an adapter's own bring, for key sets and from the store of the fleet?
//!
//! An adapter sends them when [`crate::host::Action::Fetch`] and [`crate::host::Action::Call`] say so, and Envoy tells it by a
//! number of its own how each ended.

use crate::fleet::{CallResponse, MOST_REPLY_BYTES};
use crate::index::KeySetIndex;
use crate::keys::Response;
use crate::time::UnixNanos;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A key set.
    KeySet(KeySetIndex),
    /// A call of this number to the store.
    Store(u32),
}

impl Purpose {
    /// Whether only one of the two can be in flight.
    fn excludes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Store(_), Self::Store(_)) => true,
            _ => self == other,
        }
    }

    /// As much of a response's body as is read, bytes.
    pub fn most_bytes(self) -> usize {
        match self {
            Self::KeySet(_) => Response::MOST_BYTES,
            // One more shows that the reply is too long.
            Self::Store(_) => MOST_REPLY_BYTES.saturating_add(1),
        }
    }
}

/// A request that was sent and has not ended.
#[derive(Debug, Clone, Copy)]
pub struct Sent<Id> {
    /// What it is for.
    pub purpose: Purpose,
    id: Id,
    /// When the host gives up, or a little before: its timers run by another clock.
    late: UnixNanos,
}

impl<Id> Sent<Id> {
    /// Whether the host has given up by now, if the request has no response.
    pub fn is_late(&self, now: UnixNanos) -> bool {
        self.late <= now
    }
}

/// The requests that have not ended, by the host's numbers of them; at most one for each set, and one to the store.
#[derive(Debug)]
pub struct InFlight<Id>(Vec<Sent<Id>>);

impl<Id> Default for InFlight<Id> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<Id: PartialEq> InFlight<Id> {
    /// Notes a request that was sent now.
    pub fn note(&mut self, purpose: Purpose, id: Id, timeout_milliseconds: u32, now: UnixNanos) {
        // Nine tenths of it, in nanoseconds.
        let nanos = u64::from(timeout_milliseconds).saturating_mul(900_000);
        let late = UnixNanos::from_nanos(now.nanos().saturating_add(nanos));
        // One that has not ended although the next one begins never will.
        self.0.retain(|other| !other.purpose.excludes(purpose));
        self.0.push(Sent { purpose, id, late });
    }

    /// The request that has ended; `None` if it is none of ours.
    pub fn end(&mut self, id: &Id) -> Option<Sent<Id>> {
        let position = self.0.iter().position(|sent| sent.id == *id)?;
        Some(self.0.swap_remove(position))
    }
}

/// How a request ended.
#[derive(Debug)]
pub enum Ended {
    /// With a whole response.
    Complete {
        /// Its status.
        status: u16,
        /// Its body, as far as it is read ([`Purpose::most_bytes`]).
        body: Vec<u8>,
    },
    /// The host has waited too long for it.
    TimedOut,
    /// There is no whole response for another reason.
    Reset,
}

impl Ended {
    /// Reads a response: names and values of its headers, none if nothing came; `body` reads its body, if it can be read.
    pub fn read<'b>(
        mut headers: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
        body: impl FnOnce() -> Option<Vec<u8>>,
        is_late: bool,
    ) -> Self {
        let failed = if is_late { Self::TimedOut } else { Self::Reset };
        // Envoy itself answers in place of a server that does not, and then knows no time that the server has taken.
        let is_made_up = !headers.clone().any(|(name, _)| name == b"x-envoy-upstream-service-time");
        let status = headers.find(|(name, _)| *name == b":status");
        let status = status.and_then(|(_, status)| std::str::from_utf8(status).ok()?.parse().ok());
        match status {
            None => failed,
            Some(504) if is_made_up => Self::TimedOut,
            Some(502 | 503) if is_made_up => failed,
            Some(status) => body().map_or(failed, |body| Self::Complete { status, body }),
        }
    }

    /// As whoever fetches key sets sees it.
    pub fn response(&self) -> Response<'_> {
        match self {
            Self::Complete { status, body } => Response::Complete { status: *status, body },
            Self::TimedOut => Response::TimedOut,
            Self::Reset => Response::Reset,
        }
    }

    /// As whoever calls the store sees it. Envoy gives what it reads the status 200.
    pub fn reply(&self) -> CallResponse<'_> {
        match self {
            Self::Complete { status: 200, body } => CallResponse::Reply(body),
            Self::TimedOut => CallResponse::TimedOut,
            Self::Complete { .. } | Self::Reset => CallResponse::Reset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST_MILLISECONDS: u32 = 1000;

    fn ended(headers: &[(&str, &str)], body: Option<&str>, is_late: bool) -> String {
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        match Ended::read(headers, || body.map(|body| body.as_bytes().to_vec()), is_late) {
            Ended::Complete { status, body } => format!("{status} {}", String::from_utf8_lossy(&body)),
            Ended::TimedOut => "timed out".into(),
            Ended::Reset => "reset".into(),
        }
    }

    #[test]
    fn what_envoy_answers_in_place_of_a_server_is_no_response() {
        let served = ("x-envoy-upstream-service-time", "3");
        assert_eq!(ended(&[(":status", "200"), served], Some("{}"), false), "200 {}");
        assert_eq!(ended(&[(":status", "503"), served], Some("busy"), false), "503 busy");
        assert_eq!(ended(&[(":status", "503")], Some("no healthy upstream"), false), "reset");
        assert_eq!(ended(&[(":status", "503")], Some("no healthy upstream"), true), "timed out");
        assert_eq!(ended(&[(":status", "504")], Some("timeout"), false), "timed out");
        // What does not speak HTTP has no such header, and its status is Envoy's.
        assert_eq!(ended(&[(":status", "200")], Some("+OK\r\n"), false), "200 +OK\r\n");
    }

    #[test]
    fn what_is_no_whole_response_is_a_failure() {
        assert_eq!(ended(&[], None, false), "reset");
        assert_eq!(ended(&[], None, true), "timed out");
        assert_eq!(ended(&[(":status", "two")], Some("{}"), false), "reset");
        assert_eq!(ended(&[(":status", "200")], None, false), "reset");
    }

    #[test]
    fn one_is_in_flight_for_each_purpose() {
        let now = UnixNanos::from_seconds(1_000);
        let mut calls = InFlight::default();
        calls.note(Purpose::Store(1), 7, LONGEST_MILLISECONDS, now);
        calls.note(Purpose::KeySet(KeySetIndex::new(0)), 8, LONGEST_MILLISECONDS, now);
        calls.note(Purpose::Store(2), 9, LONGEST_MILLISECONDS, now);
        assert!(calls.end(&7).is_none(), "the next one has taken its place");
        let sent = calls.end(&9).unwrap();
        assert_eq!(sent.purpose, Purpose::Store(2));
        assert!(!sent.is_late(now) && sent.is_late(now.plus_seconds(1)));
        assert!(calls.end(&9).is_none(), "it has ended");
        assert!(calls.end(&8).is_some());
    }
}
