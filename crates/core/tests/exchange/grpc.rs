//! gRPC: each message is counted for itself while the stream flows both ways.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_testkit::{Decided, Done, Watched};
use serde_json::json;

use crate::{MOST, World, at, bearer, of_next_key};

/// A call whose headers came.
fn call<'w>(world: &'w World, path: &str, more: &[(&str, &str)]) -> (Watched<'w>, Flow) {
    let bearer = bearer("u1");
    let headers =
        [&[("content-type", "application/grpc"), ("authorization", bearer.as_str())][..], more].concat();
    world.ask("POST", path, &headers, false)
}

/// A message of this many bytes, with its prefix.
fn message(length: u64) -> Vec<u8> {
    let prefix = u32::try_from(length).unwrap().to_be_bytes();
    [&[0][..], &prefix, &vec![7; usize::try_from(length).unwrap()]].concat()
}

#[test]
fn a_chat_goes_on_for_as_long_as_each_message_is_within_the_limit() {
    let world = World::new();
    let (mut chat, flow) = call(&world, "/x", &[]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(chat.decided, [Decided::Allowed]);
    for second in 0..1000 {
        let day = second * 86_400;
        assert_eq!(chat.bytes(&message(MOST), false, at(day * 1000)), Flow::Continue);
    }
    assert!(!chat.exchange.wants_ticks(), "it waits for nothing");
    assert_eq!(chat.bytes(&[], true, at(1_000)), Flow::Continue);
    assert_eq!(chat.decided, [Decided::Allowed]);
    assert!(chat.exchange.is_over());
}

#[test]
fn a_message_over_the_limit_exhausts_the_stream_with_its_prefix() {
    let world = World::new();
    let long = message(MOST + 1);
    for cut in 1..5 {
        let (mut chat, _) = call(&world, "/x", &[]);
        let begun = [message(20), long[..cut].to_vec()].concat();
        assert_eq!(chat.bytes(&begun, false, at(1)), Flow::Continue);
        assert_eq!(chat.bytes(&long[cut..5], false, at(2)), Flow::Pause);
        assert_eq!(chat.decided, [Decided::Allowed, Decided::Refused(Code::RequestTooLarge)]);
        assert!(chat.host.done.iter().any(|done| matches!(done, Done::Replied(_, true))), "as gRPC");
        let reply = chat.host.replies().next().unwrap();
        assert_eq!(reply.grpc_status, 8);
        assert_eq!(reply.grpc_message, "Request size exceeds maximum: 100 bytes");
        assert!(chat.exchange.is_over());
    }
}

#[test]
fn many_messages_and_long_ones_come_in_one_piece() {
    let world = World::new();
    let (mut chat, _) = call(&world, "/x", &[]);
    let short = message(3).repeat(5000);
    assert_eq!(chat.bytes(&short, false, at(1)), Flow::Continue);
    assert_eq!(chat.bytes(&[&short[..], &message(MOST + 1)].concat(), true, at(2)), Flow::Pause);
    assert_eq!(chat.refused(), Some("request_too_large"));
    let (mut call, _) = call(&world, "/large", &[]);
    assert_eq!(call.bytes(&message(2_000_000).repeat(2), false, at(1)), Flow::Continue);
    assert_eq!(call.bytes(&message(2_000_001)[..6], false, at(1)), Flow::Pause);
}

#[test]
fn a_declared_length_of_messages_is_no_messages_length() {
    let world = World::new();
    let (mut chat, flow) = call(&world, "/x", &[("content-length", "210")]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(chat.bytes(&message(MOST).repeat(2), true, at(1)), Flow::Continue);
    assert_eq!(chat.decided, [Decided::Allowed]);
}

#[test]
fn what_the_host_does_not_hand_over_does_not_go_on_unread() {
    let world = World::new();
    for path in ["/x", "/report"] {
        let (mut chat, _) = call(&world, path, &[]);
        chat.host.refuses_body = true;
        assert_eq!(chat.bytes(&message(1), false, at(1)), Flow::Pause);
        assert_eq!(chat.refused(), Some("internal_fault"));
        let (mut chat, _) = call(&world, path, &[]);
        chat.host.body = message(1);
        assert_eq!(chat.body(7, false, at(1)), Flow::Pause, "the host says 7 and has 6");
        assert_eq!(chat.refused(), Some("internal_fault"));
    }
    let (mut chat, _) = call(&world, "/x", &[]);
    chat.bytes(&message(MOST)[..5], false, at(1));
    chat.host.refuses_body = true;
    assert_eq!(chat.body(MOST, false, at(1)), Flow::Continue, "what is no prefix need not be read");
}

#[test]
fn a_message_too_long_is_reported_once_and_passes_in_report_mode() {
    let world = World::new();
    let (mut chat, _) = call(&world, "/report", &[]);
    for _ in 0..2 {
        assert_eq!(chat.bytes(&message(MOST + 1), false, at(1)), Flow::Continue);
    }
    assert_eq!(chat.decided, [Decided::Allowed, Decided::WouldRefuse(Code::RequestTooLarge)]);
}

#[test]
fn messages_that_came_while_the_judgement_waited_are_read_when_it_goes_on() {
    let bearer = of_next_key(&json!({ "sub": "u1", "exp": crate::START + 3600 }));
    let headers = [("content-type", "application/grpc"), ("authorization", bearer.as_str())];
    for (last, refused) in [(MOST, None), (MOST + 1, Some("request_too_large"))] {
        let world = World::asking(json!({}));
        let (mut chat, flow) = world.ask("POST", "/x", &headers, false);
        assert_eq!(flow, Flow::Pause);
        let so_far = message(MOST).repeat(3);
        assert_eq!(chat.bytes(&so_far, false, at(1)), Flow::Pause);
        let so_far = [so_far, message(last)[..7].to_vec()].concat();
        assert_eq!(chat.bytes(&so_far, false, at(2)), Flow::Pause);
        assert_eq!(chat.decided, []);
        chat.answer(1, Answer::Ready, at(1000));
        assert_eq!(chat.refused(), refused);
        if refused.is_none() {
            assert!(chat.goes_on());
            assert_eq!(chat.bytes(&message(last)[7..], false, at(1001)), Flow::Continue);
            assert_eq!(chat.bytes(&message(MOST + 1), false, at(1002)), Flow::Pause);
        }
    }
}

#[test]
fn trailers_end_a_call() {
    let world = World::new();
    let (mut chat, _) = call(&world, "/x", &[]);
    assert_eq!(chat.bytes(&message(9)[..7], false, at(1)), Flow::Continue);
    assert_eq!(chat.trailers(at(2)), Flow::Continue, "a message that ends early is the service's to judge");
    assert!(chat.exchange.is_over());
}

#[test]
fn the_revocation_endpoint_counts_a_body_as_a_whole_whatever_its_type() {
    let world = World::new();
    let (mut stream, flow) = call(&world, "/auth/revoke", &[]);
    assert_eq!(flow, Flow::Pause);
    assert_eq!(stream.bytes(&message(90).repeat(2), false, at(1)), Flow::Pause);
    assert_eq!(stream.refused(), Some("request_too_large"));
}
