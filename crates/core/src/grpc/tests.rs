#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use super::*;

/// The messages of a whole stream, in the plain way: where each prefix stands, the length in it.
fn is_too_long(stream: &[u8], max_bytes: u64) -> bool {
    let mut at = 0;
    while let Some([_, a, b, c, d]) = stream.get(at..at + 5) {
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        if u64::from(length) > max_bytes {
            return true;
        }
        at += 5 + usize::try_from(length).unwrap();
    }
    false
}

fn message(flag: u8, length: u32) -> Vec<u8> {
    let content = vec![0xff; usize::try_from(length).unwrap()];
    [&[flag][..], &length.to_be_bytes(), &content].concat()
}

/// Reads the pieces of a stream, either whole or only what need not be passed over.
fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, max_bytes: u64, skips: bool) -> Result<(), TooLong> {
    let mut messages = Messages::new(max_bytes);
    for mut piece in pieces {
        while !piece.is_empty() {
            let skipped = if skips { messages.skip(piece.len().try_into().unwrap()) } else { 0 };
            piece = &piece[usize::try_from(skipped).unwrap()..];
            let (next, after) = piece.split_at(if skips { piece.len().min(3) } else { piece.len() });
            messages.read(next)?;
            piece = after;
        }
    }
    Ok(())
}

/// A generator of numbers (xorshift64).
fn next(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state % u64::try_from(below).unwrap()).unwrap()
}

#[test]
fn each_message_counts_for_itself_however_many_there_are() {
    let stream = message(0, 10).repeat(1000);
    assert_eq!(read([&stream[..]], 10, false), Ok(()));
    assert_eq!(read([&stream[..]], 9, false), Err(TooLong));
    assert_eq!(
        read([&stream[..], &message(1, 11)], 10, false),
        Err(TooLong),
        "a compressed one as it was sent"
    );
}

#[test]
fn a_prefix_alone_tells_that_a_message_is_too_long() {
    let prefix = &message(0, 11)[..5];
    for cut in 0..5 {
        assert_eq!(read([&prefix[..cut]], 10, false), Ok(()), "{cut}");
        assert_eq!(read([&prefix[..cut], &prefix[cut..]], 10, false), Err(TooLong), "{cut}");
    }
    assert_eq!(read([&[0, 0xff, 0xff, 0xff, 0xff][..]], u64::from(u32::MAX), false), Ok(()));
    assert_eq!(read([&[0, 0xff, 0xff, 0xff, 0xff][..]], u64::from(u32::MAX) - 1, false), Err(TooLong));
}

#[test]
fn a_stream_that_ends_within_a_message_or_has_empty_ones_is_no_fault() {
    for stream in [&b""[..], &[0], &[0, 0, 0, 0], &[0, 0, 0, 0, 9], &[0, 0, 0, 0, 9, 1], &[0; 5], &[0; 50]] {
        assert_eq!(read([stream], 9, false), Ok(()), "{stream:?}");
    }
}

#[test]
fn wherever_a_stream_is_cut_it_is_read_alike() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut seen = [0; 2];
    for _ in 0..20_000 {
        let max_bytes = [0, 1, 20, 300][next(&mut state, 4)];
        let mut stream = Vec::new();
        for _ in 0..next(&mut state, 6) {
            let length = [0, 1, 4, 5, 20, 21, 300, 301][next(&mut state, 8)];
            stream.extend(message(u8::try_from(next(&mut state, 256)).unwrap(), length));
        }
        if next(&mut state, 4) == 0 {
            stream.extend((0..next(&mut state, 9)).map(|_| u8::try_from(next(&mut state, 3)).unwrap()));
        }
        stream.truncate(stream.len() - next(&mut state, 8).min(stream.len()));
        let mut pieces = Vec::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + next(&mut state, 40)).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let expected = if is_too_long(&stream, max_bytes) { Err(TooLong) } else { Ok(()) };
        for skips in [false, true] {
            let found = read(pieces.iter().copied(), max_bytes, skips);
            assert_eq!(found, expected, "{max_bytes} {skips} {pieces:?}");
        }
        seen[usize::from(expected.is_err())] += 1;
    }
    assert!(seen.iter().all(|times| *times > 2000), "{seen:?}");
}
