//! A store in memory with a clock that the test moves. The window is that of `limit/window.rs`, which the real script is held to.

use std::collections::HashMap;
use std::num::NonZeroU32;

use api_guard_core::fleet::script::{LIMIT, NODES};
use api_guard_core::limit::Quota;
use api_guard_core::limit::window::{Stamp, Window};
use api_guard_core::time::UnixNanos;

/// A window, who has asked lately, and its epoch as the script names it.
#[derive(Clone)]
struct Held {
    window: Window,
    epoch: u64,
    model_epoch: u32,
    seen: HashMap<String, (u64, u64, bool)>,
}

/// The store.
#[derive(Default)]
pub(crate) struct ModelStore {
    windows: HashMap<String, Held>,
    nodes: HashMap<String, u64>,
    epoch: Option<u64>,
    scripts: [bool; 2],
    /// By how much its clock is behind, nanoseconds.
    pub(crate) behind: u64,
    pub(crate) calls: u64,
    pub(crate) commands: u64,
}

impl ModelStore {
    /// Loses what it holds.
    pub(crate) fn lose_all(&mut self) {
        *self = Self { behind: self.behind, calls: self.calls, commands: self.commands, ..Self::default() };
    }

    /// Starts again with what it holds.
    pub(crate) fn restart(&mut self) {
        self.scripts = [false; 2];
    }

    /// Answers a call.
    pub(crate) fn call(&mut self, body: &[u8], now: UnixNanos) -> Vec<u8> {
        self.calls += 1;
        let now = UnixNanos::from_nanos(now.nanos() - self.behind);
        let mut reply = Vec::new();
        for command in commands(body) {
            self.commands += 1;
            reply.extend_from_slice(self.run(&command, now).as_bytes());
        }
        reply
    }

    fn run(&mut self, command: &[String], now: UnixNanos) -> String {
        match command[0].as_str() {
            "QUIT" | "AUTH" => "+OK\r\n".to_owned(),
            "EVAL" => {
                let index = [LIMIT.text, NODES.text].iter().position(|text| *text == command[1]).unwrap();
                self.scripts[index] = true;
                self.script(index, &command[3..], now)
            }
            "EVALSHA" => {
                let index = [LIMIT.sha1, NODES.sha1].iter().position(|sha1| *sha1 == command[1]).unwrap();
                if !self.scripts[index] {
                    return "-NOSCRIPT No matching script. Please use EVAL.\r\n".to_owned();
                }
                self.script(index, &command[3..], now)
            }
            other => panic!("{other}"),
        }
    }

    fn script(&mut self, index: usize, arguments: &[String], now: UnixNanos) -> String {
        let numbers =
            if index == 0 { self.limit(arguments, now).to_vec() } else { self.mark(arguments, now).to_vec() };
        let items: String = numbers.iter().map(|number| format!(":{number}\r\n")).collect();
        format!("*{}\r\n{items}", numbers.len())
    }

    fn mark(&mut self, arguments: &[String], now: UnixNanos) -> [u64; 4] {
        self.nodes.insert(arguments[2].clone(), now.seconds());
        self.nodes.retain(|_, seen| *seen + 15 > now.seconds());
        let epoch = *self.epoch.get_or_insert(arguments[3].parse().unwrap());
        [self.nodes.len() as u64, epoch, 0, 0]
    }

    fn limit(&mut self, arguments: &[String], now: UnixNanos) -> [u64; 7] {
        let number = |index: usize| -> u64 { arguments[index].parse().unwrap() };
        let seconds = NonZeroU32::new(u32::try_from(number(2)).unwrap()).unwrap();
        let quota = Quota {
            max_requests: NonZeroU32::new(u32::try_from(number(1)).unwrap()).unwrap(),
            window_seconds: seconds,
            warn_at_percent: None,
        };
        let fresh = number(10);
        let held = self.windows.entry(arguments[0].clone()).or_insert_with(|| Held {
            window: Window::new(seconds, now),
            epoch: fresh,
            model_epoch: 0,
            seen: HashMap::new(),
        });
        let _ = held.window.advance(seconds, now);
        let stamp = held.window.clone().spend(&quota).stamp;
        if held.model_epoch == 0 {
            held.model_epoch = stamp.epoch;
        } else if held.model_epoch != stamp.epoch {
            (held.model_epoch, held.epoch) = (stamp.epoch, fresh);
        }
        if number(7) == held.epoch {
            let units = u32::try_from(number(9)).unwrap();
            held.window.give_back(Stamp { bucket: number(8), epoch: stamp.epoch }, units);
        }
        let head = stamp.bucket;
        let (who, want) = (&arguments[4], number(3));
        let last = held.seen.get(who).map_or(0, |(_, last, _)| *last);
        let spend = |window: &mut Window, units: u64| (0..units).for_each(|_| _ = window.spend(&quota));
        if number(5) > last {
            spend(&mut held.window, number(6));
        }
        held.seen.insert(who.clone(), (head, last.max(number(5)), want > 0));
        held.seen.retain(|_, (seen, _, _)| head.abs_diff(*seen) <= 1);
        let asking = held.seen.values().filter(|(_, _, asks)| *asks).count().max(1) as u64;
        let left = held.window.remaining(&quota);
        let granted = want.min(left).min((left / (2 * asking)).max(1));
        spend(&mut held.window, granted);
        let until =
            |moment: Option<UnixNanos>| moment.map_or(0, |moment| (moment.nanos() - now.nanos()) / 1000);
        let length = u64::from(seconds.get()) * 62_500;
        let lasts = ((head + 1) * length - now.nanos() / 1000).min(length);
        let (free, oldest) = (until(held.window.free_at(&quota)), until(held.window.oldest_leaves_at()));
        [granted, held.window.remaining(&quota), held.epoch, head, lasts, free, oldest]
    }
}

fn commands(mut body: &[u8]) -> Vec<Vec<String>> {
    fn line<'a>(body: &mut &'a [u8]) -> &'a str {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let line = std::str::from_utf8(&body[1..end]).unwrap();
        *body = &body[end + 2..];
        line
    }
    let mut commands = Vec::new();
    while !body.is_empty() {
        let arguments: usize = line(&mut body).parse().unwrap();
        let argument = |body: &mut &[u8]| {
            let length: usize = line(body).parse().unwrap();
            let text = String::from_utf8_lossy(&body[..length]).into_owned();
            *body = &body[length + 2..];
            text
        };
        commands.push((0..arguments).map(|_| argument(&mut body)).collect());
    }
    commands
}
