//! What of a request do logs and answers show?

use super::Request;

/// Of each text so many bytes are shown, at most: 64 characters have no more.
const LONGEST: usize = 256;

/// What is shown, as it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shown<'r> {
    pub(crate) method: &'r [u8],
    /// The path without its query, which may contain a token.
    pub(crate) path: &'r [u8],
    /// The value of `x-request-id`.
    pub(crate) request_id: &'r [u8],
}

/// What is shown of a request whose headers are gone. In one piece and not decoded, since of nearly all requests nothing is
/// ever shown.
#[derive(Debug)]
pub(crate) struct Kept {
    bytes: Box<[u8]>,
    method: usize,
    path: usize,
}

impl<'r> Shown<'r> {
    /// What is shown of this request.
    pub(crate) fn of(request: &Request<'r>) -> Self {
        let cut = |text: &'r [u8]| text.get(..LONGEST).unwrap_or(text);
        let path = request.path.unwrap_or_default().split(|&byte| byte == b'?').next().unwrap_or_default();
        Self {
            method: cut(request.method),
            path: cut(path),
            request_id: cut(request.request_id.unwrap_or_default()),
        }
    }

    /// A copy that outlives the headers.
    pub(crate) fn keep(self) -> Kept {
        let bytes = [self.method, self.path, self.request_id].concat();
        Kept { bytes: bytes.into(), method: self.method.len(), path: self.path.len() }
    }
}

impl Kept {
    /// What is shown.
    pub(crate) fn shown(&self) -> Shown<'_> {
        let split = |bytes, at| <[u8]>::split_at_checked(bytes, at).unwrap_or_default();
        let (method, rest) = split(&self.bytes, self.method);
        let (path, request_id) = split(rest, self.path);
        Shown { method, path, request_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_its_query_and_cut() {
        let of =
            |path: &'static str| Shown::of(&Request { path: Some(path.as_bytes()), ..Request::default() });
        assert_eq!(of("/a?token=b").path, b"/a");
        assert_eq!(of("/a/b").path, b"/a/b");
        assert_eq!(of("?b").path, b"");
        assert_eq!(Shown::of(&Request::default()), Shown::default());
        let cut: &'static str = "/aaaaaaa".repeat(32).leak();
        let long: &'static str = format!("{cut}a").leak();
        assert_eq!([of(cut).path, of(long).path], [cut.as_bytes(); 2]);
    }

    #[test]
    fn what_is_kept_is_what_was_shown() {
        let long = [b'x'; 300];
        for (method, path, request_id) in
            [("GET", "/a?b", Some(&b"id"[..])), ("", "", None), ("\u{e9}", "/", Some(&long))]
        {
            let (method, path) = (method.as_bytes(), Some(path.as_bytes()));
            let shown = Shown::of(&Request { method, path, request_id, ..Request::default() });
            assert_eq!(shown.keep().shown(), shown);
            assert!(shown.request_id.len() <= LONGEST);
        }
    }
}
