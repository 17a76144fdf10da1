//! The border to the page: it writes a question into memory, runs it, and reads the answer.
//!
//! `room(n)` gives the address of `n` bytes for the question, `run()` the number of bytes of the answer, and `answer()` their
//! address, which is good until the next call.

use std::cell::RefCell;

use crate::session::Session;

#[derive(Default)]
struct Border {
    session: Session,
    question: Vec<u8>,
    answer: Vec<u8>,
}

thread_local! {
    static BORDER: RefCell<Border> = RefCell::default();
}

/// The largest question, bytes.
const MOST: usize = 64 << 20;

#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an export")]
extern "C" fn room(bytes: usize) -> *const u8 {
    BORDER.with_borrow_mut(|border| {
        border.question = vec![0; bytes.min(MOST)];
        border.question.as_ptr()
    })
}

#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an export")]
extern "C" fn run() -> usize {
    BORDER.with_borrow_mut(|border| {
        let question = std::mem::take(&mut border.question);
        border.answer = border.session.ask(&question).into_bytes();
        border.answer.len()
    })
}

#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an export")]
extern "C" fn answer() -> *const u8 {
    BORDER.with_borrow(|border| border.answer.as_ptr())
}
