//! How did a call to the store end?

/// Defines the outcomes with their names in metrics.
macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// How a call ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum CallOutcome { $($(#[$doc])* $name,)* }

        impl CallOutcome {
            /// Every outcome.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The outcome as metrics and logs show it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

outcomes! {
    /// The store did what was asked.
    Ok = "ok";
    /// It did not answer in time.
    Timeout = "timeout";
    /// There was no connection, or it broke.
    Reset = "reset";
    /// The reply is not whole, or is none that was asked for.
    Malformed = "malformed";
    /// The store does not accept the password, or the user may not do this.
    Denied = "denied";
    /// It is a replica.
    Readonly = "readonly";
    /// Its memory is full.
    Full = "full";
    /// It has not read its data yet.
    Loading = "loading";
    /// It is one of a cluster, whose other members this way cannot reach.
    Moved = "moved";
    /// Any other error.
    Error = "error";
}

/// What a user hears who may run scripts, and not what is in them.
const FORBIDDEN_IN_SCRIPT: &[u8] = b"ERR The user executing the script can't run";

/// What a client hears who sends more than a password without having sent that.
const TOO_LONG_WITHOUT_LOGIN: &[u8] = b"ERR Protocol error: unauthenticated";

/// What the host brings back of a call.
#[derive(Debug, Clone, Copy)]
pub enum CallResponse<'a> {
    /// Bytes of the store. An answer that the host itself made, such as a 503 without a connection, is a reset.
    Reply(&'a [u8]),
    /// None came within the time-out.
    TimedOut,
    /// None came, or not all of it.
    Reset,
}

impl CallOutcome {
    /// What an error of the store means, which begins with its kind.
    pub(super) fn of_error(error: &[u8]) -> Self {
        if error.starts_with(FORBIDDEN_IN_SCRIPT) {
            return Self::Denied;
        }
        let kind = error.split(|byte| *byte == b' ').next().unwrap_or_default();
        match kind {
            b"NOAUTH" | b"WRONGPASS" | b"NOPERM" => Self::Denied,
            b"READONLY" => Self::Readonly,
            b"OOM" | b"MISCONF" => Self::Full,
            b"LOADING" | b"MASTERDOWN" | b"BUSY" => Self::Loading,
            b"MOVED" | b"ASK" | b"CLUSTERDOWN" | b"CROSSSLOT" => Self::Moved,
            _ => Self::Error,
        }
    }

    /// What a reply means that is not whole: the store may have said why it has closed the connection.
    pub(super) fn of_cut(reply: &[u8]) -> Self {
        let Some(error) = reply.strip_prefix(b"-") else { return Self::Malformed };
        if error.starts_with(TOO_LONG_WITHOUT_LOGIN) {
            return Self::Denied;
        }
        Some(Self::of_error(error)).filter(|outcome| outcome.is_of_store()).unwrap_or(Self::Malformed)
    }

    /// What an error in answer to AUTH means.
    pub(super) fn of_login(error: &[u8]) -> Self {
        Some(Self::of_error(error)).filter(|outcome| outcome.is_of_store()).unwrap_or(Self::Denied)
    }

    /// Whether the store does nothing of what is asked, and not just one thing.
    pub fn is_of_store(self) -> bool {
        match self {
            Self::Ok | Self::Error => false,
            Self::Timeout
            | Self::Reset
            | Self::Malformed
            | Self::Denied
            | Self::Readonly
            | Self::Full
            | Self::Loading
            | Self::Moved => true,
        }
    }
}

/// What a call is for: the most important thing that it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallUse {
    /// Limits.
    Limit,
    /// Revocations.
    Revocation,
    /// The mark that this Envoy is alive.
    Heartbeat,
}

impl CallUse {
    /// Every use.
    pub const ALL: &[Self] = &[Self::Limit, Self::Revocation, Self::Heartbeat];

    /// The use as metrics show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Revocation => "revocation",
            Self::Heartbeat => "heartbeat",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_was_cut_may_still_say_why() {
        for (reply, outcome) in [
            ("-ERR Protocol error: unauthenticated multibulk length\r\n", CallOutcome::Denied),
            ("-LOADING Redis is loading\r\n", CallOutcome::Loading),
            ("-ERR max number of clients reached\r\n", CallOutcome::Malformed),
            (":1\r\n", CallOutcome::Malformed),
            ("", CallOutcome::Malformed),
        ] {
            assert_eq!(CallOutcome::of_cut(reply.as_bytes()), outcome, "{reply}");
        }
    }

    #[test]
    fn errors_are_told_apart_by_their_first_word() {
        for (error, outcome) in [
            ("NOAUTH Authentication required.", CallOutcome::Denied),
            ("WRONGPASS invalid username-password pair", CallOutcome::Denied),
            ("NOPERM this user has no permissions", CallOutcome::Denied),
            ("READONLY You can't write against a read only replica.", CallOutcome::Readonly),
            ("OOM command not allowed", CallOutcome::Full),
            ("LOADING Redis is loading the dataset in memory", CallOutcome::Loading),
            ("MOVED 3999 127.0.0.1:6381", CallOutcome::Moved),
            ("WRONGTYPE Operation against a key", CallOutcome::Error),
            ("ERR user_script:1: READONLY", CallOutcome::Error),
            ("ERR The user executing the script can't run this command or subcommand", CallOutcome::Denied),
            ("", CallOutcome::Error),
        ] {
            assert_eq!(CallOutcome::of_error(error.as_bytes()), outcome, "{error}");
        }
        assert_eq!(
            CallOutcome::of_login(b"ERR AUTH <password> called without any password"),
            CallOutcome::Denied
        );
    }
}
