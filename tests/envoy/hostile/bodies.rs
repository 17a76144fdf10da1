//! Bodies and their types, and replies that could repeat what was sent.

use serde_json::json;

use super::{Class, over};
use crate::ask::{Ask, BOTH, Body};
use crate::token::{HEADER, sign, sign_with, token};

pub(super) fn classes() -> Vec<Class> {
    let good = token(json!({}));
    let post = || Ask::post("/x").token(&good);
    let typed = |kind: &str| {
        Ask::new("POST", "/x").token(&good).header("content-type", kind).body(Body::Sized(b"{}".to_vec()))
    };
    let rows = vec![
        (
            "a size of 64 bits",
            post().body(Body::Declared("18446744073709551615".to_owned())),
            "413 request_too_large|cut",
        ),
        (
            "a size past 32 bits",
            post().body(Body::Declared("4294967297".to_owned())),
            "413 request_too_large",
        ),
        ("a size that is none", post().body(Body::Declared("0x5".to_owned())), "400|cut"),
        (
            "too large without a size",
            post().body(Body::Streamed(vec![vec![b'x'; 600]; 2])),
            "413 request_too_large",
        ),
        ("within, without a size", post().body(Body::Streamed(vec![b"{".to_vec(), b"}".to_vec()])), "200"),
        ("a type in the parameters", typed("text/plain; application/json"), "415 unsupported_media_type"),
        ("a longer type", typed("application/jsonp"), "415 unsupported_media_type"),
        (
            "two types",
            typed("text/plain").header("content-type", "application/json"),
            "415 unsupported_media_type",
        ),
        (
            "no type",
            Ask::new("POST", "/x").token(&good).body(Body::Sized(b"{}".to_vec())),
            "415 unsupported_media_type",
        ),
        ("gRPC in capitals", typed("Application/gRPC"), "415 unsupported_media_type"),
        ("gRPC with a parameter", typed("application/grpc;x=1"), "415 unsupported_media_type"),
        ("gRPC twice", typed("application/grpc, application/grpc"), "415 unsupported_media_type"),
        (
            "gRPC in capitals, without a body",
            Ask::get("/x").header("content-type", "Application/GRPC"),
            "401 token_missing",
        ),
        (
            "gRPC with a parameter, without a body",
            Ask::new("DELETE", "/x").header("content-type", "application/grpc; x"),
            "401 token_missing",
        ),
        ("letter case and parameters", typed("Application/JSON; charset=utf-8"), "200"),
        (
            "a revocation that repeats a name",
            Ask::post("/auth/revoke")
                .token(&good)
                .body(Body::Sized(br#"{"token":"a","\u0074oken":"b"}"#.to_vec())),
            "400 request_malformed",
        ),
        (
            "a revocation of somebody else",
            Ask::post("/auth/revoke")
                .token(&good)
                .body(Body::Sized(br#"{"sub":"user-8","issued_before":1}"#.to_vec())),
            "403 permission_missing",
        ),
        (
            "a revocation without a token",
            Ask::post("/auth/revoke").body(Body::Sized(b"{".to_vec())),
            "401 token_missing",
        ),
        ("markup", Ask::get("/x").token("<script>.\"'.\\"), "401|400 credentials_ambiguous"),
        (
            "quotes in a kid",
            Ask::get("/x").token(&sign(r#"{"alg":"HS256","kid":"\"\r\n\u0000"}"#, "{}")),
            "401 token_key_unknown",
        ),
        (
            "another's quota with a forged token",
            Ask::get("/limited").token(&sign_with(&[b'x'; 32], HEADER, r#"{"tenant":"good"}"#)),
            "401 token_signature_invalid",
        ),
    ];
    over(&BOTH, rows)
}
