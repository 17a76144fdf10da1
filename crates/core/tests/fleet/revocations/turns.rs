//! The workers of one process read in turns, however their clocks stand.

use super::*;

#[test]
fn workers_of_one_process_take_turns_and_all_see_what_one_has_read() {
    let Some(store) = Store::start() else { return };
    let mut a = Envoy::start(&store, usual(1), 1);
    a.tick(at(0));
    a.revoke(Revocable::Jti("j"), at(0));
    a.tick(at(0));
    let mut first = Envoy::start(&store, usual(1), 2);
    let mut second = Link::open(&first.rule, Seed::from_bytes([2; 16]), [9; 16]);
    let mut of_second = Revocations::open(&first.cells, Seed::from_bytes([2; 16]), 70_000).unwrap();
    of_second.share_under(&first.rule.names);
    let call = first.link.begin(&first.rule, &first.revocations, &first.cells, at(100)).unwrap();
    let others = second.begin(&first.rule, &of_second, &first.cells, at(100)).unwrap();
    assert!(others.body.windows(6).all(|six| six != b"ZRANGE"), "the first one reads");
    let reply = store.call(&call.body);
    let response = CallResponse::Reply(&reply);
    first
        .link
        .end(&first.rule, call.number, response, &mut first.revocations, &first.cells, at(101))
        .unwrap();
    second.refresh(&first.cells, at(102)).unwrap();
    assert_eq!(second.view().knowledge(&first.rule, at(102)), Knowledge::Enough);
    of_second.refresh(&first.cells).unwrap();
    let identity = TokenIdentity::Numbered { issuer: None, subject: None, jti: "j" };
    let marks = of_second.marks(&identity, None, None);
    assert!(of_second.is_revoked(&marks, None, at(102)));
}

#[test]
fn a_worker_that_is_behind_reads_nothing_that_another_has_just_begun_to_read_or_has_read() {
    let Some(store) = Store::start() else { return };
    let mut rule = usual(1);
    if let Some(shared) = &mut rule.revocations {
        shared.poll_seconds = 5;
    }
    let mut first = Envoy::start(&store, rule, 1);
    // Another worker of the same process, which has nothing on its way.
    let another_reads = |first: &Envoy<'_>, now| {
        let seed = Seed::from_bytes([1; 16]);
        let mut another = Link::open(&first.rule, seed, [9; 16]);
        another.refresh(&first.cells, now).unwrap();
        let revocations = Revocations::open(&first.cells, seed, 70_000).unwrap();
        let call = another.begin(&first.rule, &revocations, &first.cells, now);
        call.is_some_and(|call| call.body.windows(6).any(|six| six == b"ZRANGE"))
    };
    for (begun, late) in [(1000, 0), (20_000, 19_000), (40_000, 39_999)] {
        let call = first.link.begin(&first.rule, &first.revocations, &first.cells, at(begun)).unwrap();
        assert!(!another_reads(&first, at(late)), "{begun}: on its way");
        let reply = store.call(&call.body);
        let (response, revocations) = (CallResponse::Reply(&reply), &mut first.revocations);
        first.link.end(&first.rule, call.number, response, revocations, &first.cells, at(begun)).unwrap();
        assert!(!another_reads(&first, at(late)), "{begun}: has ended");
    }
    assert!(another_reads(&first, at(50_000)));
}
