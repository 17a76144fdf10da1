//! What can be wrong with the form of a request, and which of several faults decides the status?

use crate::code::Code;

/// One thing that is wrong with the form of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormFault {
    /// 400; the text contains nothing that the client sent.
    Malformed(&'static str),
    /// 400; the text contains nothing that the client sent.
    PathAmbiguous(&'static str),
    /// 400: a query parameter that overrides the method.
    MethodParameter,
    /// 403.
    HttpsRequired,
    /// 405.
    MethodNotAllowed {
        /// The client's method, lossily decoded.
        method: String,
        /// The methods that the path allows, in alphabetical order.
        allowed: Vec<String>,
    },
    /// 415.
    UnsupportedMediaType {
        /// What the route accepts.
        accepted: Vec<String>,
        /// Whether the method is POST, for which the reply has a further header, `accept-post`.
        post: bool,
    },
    /// 413.
    TooLarge {
        /// The largest accepted body, bytes.
        max_bytes: u64,
    },
}

impl FormFault {
    /// The fault's code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Malformed(_) | Self::MethodParameter => Code::RequestMalformed,
            Self::PathAmbiguous(_) => Code::PathAmbiguous,
            Self::HttpsRequired => Code::HttpsRequired,
            Self::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Self::UnsupportedMediaType { .. } => Code::UnsupportedMediaType,
            Self::TooLarge { .. } => Code::RequestTooLarge,
        }
    }

    /// The fault with the lowest rank decides the status: 400, 403, 405, 415, 413.
    const fn rank(&self) -> u8 {
        match self {
            Self::PathAmbiguous(_) => 0,
            Self::Malformed(_) | Self::MethodParameter => 1,
            Self::HttpsRequired => 2,
            Self::MethodNotAllowed { .. } => 3,
            Self::UnsupportedMediaType { .. } => 4,
            Self::TooLarge { .. } => 5,
        }
    }
}

/// All that is wrong with a request's form, the deciding fault first. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormFaults(Vec<FormFault>);

impl FormFaults {
    /// `None` if nothing is wrong.
    pub fn new(faults: Vec<FormFault>) -> Option<Self> {
        let mut sorted: Vec<FormFault> = Vec::with_capacity(faults.len());
        for fault in faults {
            let index = sorted.partition_point(|known| known.rank() <= fault.rank());
            sorted.insert(index, fault);
        }
        (!sorted.is_empty()).then_some(Self(sorted))
    }

    /// A single fault.
    pub fn one(fault: FormFault) -> Self {
        Self(vec![fault])
    }

    /// The faults in the order of their statuses.
    pub fn iter(&self) -> impl Iterator<Item = &FormFault> {
        self.0.iter()
    }
}

impl FormFaults {
    /// The code of the deciding fault.
    pub fn code(&self) -> Code {
        self.0.first().map_or(Code::RequestMalformed, FormFault::code)
    }
}
