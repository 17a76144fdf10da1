//! One stream and its model side by side, with the host that stands between them and the client: it delivers what comes
//! of a held request, all of it so far, or keeps it until the request is let go.

use api_guard_core::engine::Engine;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_testkit::{Done, Process, Watched, request};

use super::asked::{Asked, Content, Credential, MOST, Path, Shared, Trailers};
use super::life::Life;
use super::{at, bearer};
use crate::Dice;

#[derive(Debug)]
#[allow(dead_code, reason = "for whoever reads a failure")]
pub(super) enum Event {
    Headers { now: i64 },
    Body { now: i64, size: u64, end: bool },
    Trailers { now: i64, sent: Trailers },
    Response,
    Answer { now: i64, number: u32 },
    Tick { now: i64 },
}

/// One stream, its model, and the host between the client and both.
pub(super) struct Both<'e> {
    real: Watched<'e>,
    pub(super) life: Life,
    /// Whether this host delivers what comes while a request is held.
    delivers: bool,
    /// What it has delivered of the body of a held request, bytes.
    buffered: u64,
    /// What it has not delivered: pieces, and whether each is the last.
    pending: Vec<(u64, Vec<u8>, bool)>,
    /// The messages that the client sends, and what it has sent of them.
    messages: Vec<u8>,
    sent: usize,
    has_ended: bool,
    begun: bool,
    /// What happened, for whoever reads a failure.
    pub(super) story: Vec<Event>,
}

impl<'e> Both<'e> {
    pub(super) fn new(engine: &'e Engine, process: &'e Process, dice: &mut Dice, delivers: bool) -> Self {
        let asked = Asked::random(dice);
        let mut real = Watched::new(engine, process);
        real.host.cannot_ask = asked.cannot_ask;
        real.host.refuses_edits = asked.refuses_edits;
        real.host.refuses_body = asked.refuses_body;
        real.host.body = if asked.makes_sense { b" ".to_vec() } else { b"{}".to_vec() };
        let life = Life::new(asked);
        Self {
            real,
            life,
            delivers,
            buffered: 0,
            pending: Vec::new(),
            messages: messages(dice),
            sent: 0,
            has_ended: false,
            begun: false,
            story: Vec::new(),
        }
    }

    /// Something happens. `now`: milliseconds after the start.
    pub(super) fn step(&mut self, dice: &mut Dice, shared: &mut Shared, now: i64) {
        let number = self.life.questions;
        match (self.begun, dice.roll(40)) {
            (false, 0) => self.body(1, &[], false, shared, now),
            (false, 1) => self.trailers(Trailers::Plain, shared, now),
            (false, 2..5) | (true, 0..6) => self.response(),
            (false, _) | (true, 6) => self.headers(shared, now),
            (true, 7..22) if !self.has_ended => {
                let is_none = self.life.asked.must_be_empty() && dice.chance(6);
                let size = if is_none { 0 } else { dice.pick(&[0, 1, 20, 40, 40, MOST, MOST + 1]) };
                self.has_ended = dice.chance(4);
                self.piece(size, self.has_ended, dice, shared, now);
            }
            (true, 22) if !self.has_ended => {
                self.has_ended = true;
                if self.pending.is_empty() {
                    let sent =
                        dice.pick(&[Trailers::Plain, Trailers::Plain, Trailers::Forged, Trailers::Unread]);
                    self.trailers(sent, shared, now);
                }
            }
            (true, 23..29) => self.answer(number, dice, shared, now),
            (true, 29) => self.answer(number.wrapping_add(1), dice, shared, now),
            (true, _) => self.tick(shared, now),
        }
    }

    /// The client sends a piece of the body, which the host delivers now or later.
    fn piece(&mut self, size: u64, end: bool, dice: &mut Dice, shared: &mut Shared, now: i64) {
        self.receive(size);
        let from = self.sent;
        self.sent += usize::try_from(size).unwrap();
        if self.real.goes_on() {
            let bytes = self.messages[from..self.sent].to_vec();
            self.body(size, &bytes, end, shared, now);
        } else if self.delivers {
            self.buffered += size;
            if self.buffered > MOST && dice.chance(3) && self.life.reply.is_none() {
                self.life.host_answered = true;
                self.real.host.is_answered = true;
            }
            let bytes = self.messages[..self.sent].to_vec();
            self.body(self.buffered, &bytes, end, shared, now);
        } else {
            self.pending.push((size, self.messages[from..self.sent].to_vec(), end));
        }
    }

    fn receive(&mut self, size: u64) {
        self.life.received += size;
        self.real.host.received = Some(self.life.received);
    }

    fn headers(&mut self, shared: &mut Shared, now: i64) {
        let asked = self.life.asked;
        self.begun = true;
        self.receive(10);
        self.story.push(Event::Headers { now });
        let expected = self.life.headers(shared, now);
        let path = match asked.path {
            Path::Plain => "/x",
            Path::Public => "/public",
            Path::Large => "/large",
            Path::Report => "/report",
            Path::Denied => "/denied",
            Path::Stream => "/stream",
            Path::Endpoint => "/auth/revoke",
        };
        let mut headers = request(if asked.post { "POST" } else { "GET" }, path, &[]);
        let content_type = match asked.content {
            Content::Json => "application/json",
            Content::Other => "text/plain",
            Content::Lines => "application/x-ndjson",
            Content::Grpc => "application/grpc",
        };
        headers.push(("content-type", content_type));
        match asked.credential {
            Credential::None => {}
            Credential::Bad => headers.push(("authorization", "Bearer a.b")),
            Credential::Good { caller, second_key } => {
                headers.push(("authorization", bearer(caller, second_key)))
            }
        }
        let length = asked.length.map(|length| length.to_string());
        headers.extend(length.as_deref().map(|length| ("content-length", length)));
        let flow = if asked.given {
            self.real.headers(&headers, asked.ends, at(now))
        } else {
            self.real.raw_headers(None::<[(&[u8], &[u8]); 0]>, asked.ends, at(now))
        };
        self.has_ended |= asked.ends;
        self.compare(Some((flow, expected)));
    }

    fn body(&mut self, size: u64, bytes: &[u8], end: bool, shared: &mut Shared, now: i64) {
        self.story.push(Event::Body { now, size, end });
        if self.life.asked.sends_messages() {
            self.real.host.body = bytes.to_vec();
        }
        let expected = self.life.body(size, bytes, end, shared, now);
        let flow = self.real.body(size, end, at(now));
        self.compare(Some((flow, expected)));
    }

    fn trailers(&mut self, sent: Trailers, shared: &mut Shared, now: i64) {
        self.story.push(Event::Trailers { now, sent });
        let expected = self.life.trailers(sent, shared, now);
        let flow = match sent {
            Trailers::Plain => self.real.trailers(at(now)),
            Trailers::Forged => self.real.trailers_of(Some(&[("x_auth.subject", "admin")]), at(now)),
            Trailers::Unread => self.real.trailers_of(None, at(now)),
        };
        self.compare(Some((flow, expected)));
        let cleaned = self.real.host.done.contains(&Done::TrailerRemoved(b"x_auth.subject".to_vec()));
        assert!(cleaned || sent != Trailers::Forged || flow == Flow::Pause, "forged trailers go on");
    }

    fn response(&mut self) {
        self.story.push(Event::Response);
        let expected = self.life.response();
        let flow = self.real.response();
        self.compare(Some((flow, expected)));
    }

    fn answer(&mut self, number: u32, dice: &mut Dice, shared: &mut Shared, now: i64) {
        self.story.push(Event::Answer { now, number });
        self.life.answer(number, shared, now);
        self.real.answer(number, dice.pick(&[Answer::Ready, Answer::Unavailable]), at(now));
        self.compare(None);
        self.deliver(shared, now);
    }

    fn tick(&mut self, shared: &mut Shared, now: i64) {
        self.story.push(Event::Tick { now });
        self.life.tick(shared, now);
        self.real.tick(at(now));
        self.compare(None);
        self.deliver(shared, now);
    }

    /// What the host kept of the body follows a request that was let go.
    fn deliver(&mut self, shared: &mut Shared, now: i64) {
        if self.real.goes_on() {
            for (size, bytes, end) in std::mem::take(&mut self.pending) {
                self.body(size, &bytes, end, shared, now);
            }
        }
    }

    fn compare(&self, flows: Option<(Flow, Flow)>) {
        let done = &self.real.host.done;
        let story = || format!("{:?}, delivers: {}\n{:#?}", self.life.asked, self.delivers, self.story);
        if let Some((flow, expected)) = flows {
            assert_eq!(flow, expected, "{}", story());
        }
        assert_eq!(self.real.decided, self.life.decided, "{}", story());
        assert_eq!(self.real.host.replies().next().map(|reply| reply.status), self.life.reply, "{}", story());
        assert_eq!(done.contains(&Done::Resumed), self.life.resumed, "{}", story());
        let asked = done.iter().filter(|done| matches!(done, Done::Asked(..))).count();
        assert_eq!(u32::try_from(asked), Ok(self.life.questions), "{}", story());
        let marked = done.iter().any(|done| matches!(done, Done::Marked(..)));
        assert_eq!(marked, self.life.marked, "{}", story());
        assert_eq!(self.real.exchange.is_over(), self.life.is_over(), "{}", story());
        assert_eq!(self.real.exchange.wants_ticks(), self.life.wants_ticks(), "{}", story());
    }
}

/// More messages than a client sends, some of which are too long.
fn messages(dice: &mut Dice) -> Vec<u8> {
    let mut stream = Vec::new();
    while stream.len() < 4000 {
        let length = dice.pick(&[0, 1, 4, 30, 30, MOST, MOST, MOST + 1]);
        stream.push(0);
        stream.extend(u32::try_from(length).unwrap().to_be_bytes());
        stream.resize(stream.len() + usize::try_from(length).unwrap(), 7);
    }
    stream
}
