//! Paths and methods.

use serde_json::json;

use super::{Class, over};
use crate::ask::{Ask, BOTH, Protocol};
use crate::token::token;

pub(super) fn classes() -> Vec<Class> {
    let ambiguous = [
        "/public/%2e%2e/admin",
        "/public/../admin",
        "/public/..;/admin",
        "/public//admin",
        "//public/a",
        "/public%5c..%5cadmin",
        "/public\\admin",
        "/public/a%2fb",
        "/admin;x=1",
        "/%61dmin",
        "/%2561dmin",
        "/public/a%zz",
        "/admin%00.json",
        "/public/%c0%ae%c0%ae/x",
        "/public/%0d%0a",
        "/public/a%3bb",
    ];
    let good = token(json!({}));
    let rows = vec![
        ("a longer segment", Ask::get("/admins").token(&good), "200"),
        ("without the permission", Ask::get("/admin").token(&good), "403 permission_missing"),
        ("dots in the query", Ask::get("/public/a?x=/../..;//%00"), "200"),
        ("somebody else's", Ask::get("/users/user-8").token(&good), "403 binding_mismatch"),
        ("one's own, encoded", Ask::get("/users/user-7?x=%2e").token(&good), "200"),
        ("OPTIONS", Ask::new("OPTIONS", "/x").header("origin", "http://a"), "405 method_not_allowed"),
        ("PATCH", Ask::new("PATCH", "/x").token(&good), "405 method_not_allowed"),
        ("TRACE", Ask::new("TRACE", "/x").token(&good), "405 method_not_allowed|400|cut"),
        ("another method in a GET", Ask::get("/x?_method=DELETE").token(&good), "200"),
        ("text that is written from right to left", Ask::get("/a%E2%80%AEb"), "401 token_missing"),
    ];
    // What some framework takes for `_method`.
    let overrides = [
        "_method=DELETE",
        "a=b&_method=DELETE",
        "a=b;_method",
        "%5Fmetho%64=DELETE",
        "%255Fmethod=DELETE",
        "_method[]=DELETE",
        "_method%00x=DELETE",
        ".method=DELETE",
        "+_method=DELETE",
    ];
    let mut pathless = Ask::new("CONNECT", "").host("a:443");
    pathless.path = None;
    let http2 = vec![
        ("CONNECT", pathless, "400|404|405|cut"),
        ("a method in small letters", Ask::new("get", "/x").token(&good), "405 method_not_allowed"),
        ("raw bytes", Ask::get(b"/public/\xC3\xA9"), "400|cut"),
        ("raw text from right to left", Ask::get("/public/a\u{202e}b"), "400|cut"),
        ("a raw C1 control", Ask::get("/public/a\u{9b}b"), "400|cut"),
    ];
    let full = Ask::get("http://api.example.com/public/../admin");
    [
        over(&BOTH, ambiguous.map(|path| (path, Ask::get(path), "400 path_ambiguous"))),
        over(&BOTH, rows),
        over(
            &BOTH,
            overrides
                .map(|query| (query, Ask::post(format!("/x?{query}")).token(&good), "400 request_malformed")),
        ),
        over(&[Protocol::Http2], http2),
        over(&[Protocol::Http1], [("a full address", full, "400")]),
    ]
    .into_iter()
    .flatten()
    .collect()
}
