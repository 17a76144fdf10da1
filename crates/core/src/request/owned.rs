//! A copy of a request that outlives the host's header block, for a judgement that has to wait.

use super::{Request, Single};
use crate::index::KeyHeaderIndex;

/// A copy of everything that a [`Request`] borrows.
#[derive(Debug, Clone)]
pub struct OwnedRequest {
    method: Vec<u8>,
    path: Option<Vec<u8>>,
    authority: Vec<u8>,
    forwarded_proto: Option<Vec<u8>>,
    request_id: Option<Vec<u8>>,
    external_address: Option<Vec<u8>>,
    is_internal: bool,
    has_body: bool,
    upgrade: bool,
    content_type: OwnedSingle,
    content_length: OwnedSingle,
    origin: bool,
    preflight_method: Option<Vec<u8>>,
    token_headers: Vec<(usize, Vec<u8>)>,
    connections: Vec<Vec<u8>>,
    cookies: Vec<Vec<u8>>,
    websocket_protocols: Vec<Vec<u8>>,
    removals: Vec<Vec<u8>>,
    key_headers: Vec<(KeyHeaderIndex, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum OwnedSingle {
    Absent,
    Once(Vec<u8>),
    Repeated,
}

impl Request<'_> {
    /// Copies the request.
    pub fn to_owned(&self) -> OwnedRequest {
        // No `..` in the pattern, so that a new field cannot be forgotten here.
        let Self {
            method,
            path,
            authority,
            forwarded_proto,
            request_id,
            external_address,
            is_internal,
            has_body,
            upgrade,
            content_type,
            content_length,
            origin,
            preflight_method,
            token_headers,
            connections,
            cookies,
            websocket_protocols,
            removals,
            key_headers,
        } = self;
        let copy = |value: &Option<&[u8]>| value.map(<[u8]>::to_vec);
        OwnedRequest {
            method: method.to_vec(),
            path: copy(path),
            authority: authority.to_vec(),
            forwarded_proto: copy(forwarded_proto),
            request_id: copy(request_id),
            external_address: copy(external_address),
            is_internal: *is_internal,
            has_body: *has_body,
            upgrade: *upgrade,
            content_type: OwnedSingle::of(*content_type),
            content_length: OwnedSingle::of(*content_length),
            origin: *origin,
            preflight_method: copy(preflight_method),
            token_headers: copy_all(token_headers),
            connections: connections.iter().map(|value| value.to_vec()).collect(),
            cookies: cookies.iter().map(|cookie| cookie.to_vec()).collect(),
            websocket_protocols: websocket_protocols.iter().map(|line| line.to_vec()).collect(),
            removals: removals.iter().map(|name| name.to_vec()).collect(),
            key_headers: copy_all(key_headers),
        }
    }
}

impl OwnedRequest {
    /// The request, borrowed from this copy.
    pub fn as_request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: self.path.as_deref(),
            authority: &self.authority,
            forwarded_proto: self.forwarded_proto.as_deref(),
            request_id: self.request_id.as_deref(),
            external_address: self.external_address.as_deref(),
            is_internal: self.is_internal,
            has_body: self.has_body,
            upgrade: self.upgrade,
            content_type: self.content_type.as_single(),
            content_length: self.content_length.as_single(),
            origin: self.origin,
            preflight_method: self.preflight_method.as_deref(),
            token_headers: indexed(&self.token_headers).collect(),
            connections: self.connections.iter().map(Vec::as_slice).collect(),
            cookies: self.cookies.iter().map(Vec::as_slice).collect(),
            websocket_protocols: self.websocket_protocols.iter().map(Vec::as_slice).collect(),
            removals: self.removals.iter().map(Vec::as_slice).collect(),
            key_headers: indexed(&self.key_headers).collect(),
        }
    }
}

fn copy_all<I: Copy>(values: &[(I, &[u8])]) -> Vec<(I, Vec<u8>)> {
    values.iter().map(|(index, value)| (*index, value.to_vec())).collect()
}

fn indexed<I: Copy>(values: &[(I, Vec<u8>)]) -> impl Iterator<Item = (I, &[u8])> {
    values.iter().map(|(index, value)| (*index, value.as_slice()))
}

impl OwnedSingle {
    fn of(single: Single<'_>) -> Self {
        match single {
            Single::Absent => Self::Absent,
            Single::Once(value) => Self::Once(value.to_vec()),
            Single::Repeated => Self::Repeated,
        }
    }

    fn as_single(&self) -> Single<'_> {
        match self {
            Self::Absent => Single::Absent,
            Self::Once(value) => Single::Once(value),
            Self::Repeated => Single::Repeated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::plan::HeaderPlan;

    #[test]
    fn a_copy_of_a_request_is_that_request() {
        let mut plan = HeaderPlan::default();
        plan.token("authorization", 0);
        plan.cookies();
        plan.websocket_protocols();
        plan.removed("x-auth-subject");
        plan.external_address();
        let headers: Vec<(&[u8], &[u8])> = vec![
            (b":method", b"OPTIONS"),
            (b":path", b"/a?b"),
            (b":authority", b"h"),
            (b"x-forwarded-proto", b"https"),
            (b"x-request-id", b"1"),
            (b"x-envoy-external-address", b"192.0.2.1"),
            (b"x-envoy-internal", b"true"),
            (b"connection", b"upgrade"),
            (b"content-type", b"a/b"),
            (b"content-length", b"1"),
            (b"content-length", b"2"),
            (b"origin", b"o"),
            (b"access-control-request-method", b"PUT"),
            (b"upgrade", b"websocket"),
            (b"authorization", b"Bearer T"),
            (b"cookie", b"a=b"),
            (b"x-auth-subject", b"\xff"),
        ];
        for (headers, has_body) in [(headers, true), (Vec::new(), false)] {
            let request = Request::read(&plan, headers, has_body);
            assert_eq!(format!("{:?}", request.to_owned().as_request()), format!("{request:?}"));
        }
    }
}
