//! One class of hostile requests, and how classes are sent: one after the other, or all at once.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ask::{Ask, Protocol};
use crate::process::Envoy;
use crate::table::{fits, judge};

/// One class: what is sent over which protocols, and the right answer.
pub(crate) struct Class {
    name: String,
    protocols: &'static [Protocol],
    attack: Attack,
    answer: &'static str,
}

/// What a class does.
enum Attack {
    Request(Ask),
    /// Several requests; what came of them, in the words of a verdict.
    Scene(fn(&Envoy, Protocol) -> String),
}

impl Class {
    /// Judges the whole reply to a class of one request: body and headers of the contract, and nothing forwarded.
    #[track_caller]
    pub(super) fn judge_whole(&self, envoy: &Envoy) {
        if let Attack::Request(ask) = &self.attack {
            judge(envoy, self.protocols, [(&self.name, ask.clone(), self.answer)]);
        }
    }

    /// Sends the class once; what is wrong about the answer.
    fn try_over(&self, envoy: &Envoy, protocol: Protocol) -> Option<String> {
        let verdict = match &self.attack {
            Attack::Request(ask) => {
                let (_, outcome) = ask.try_send(envoy, protocol);
                outcome.map_or_else(|cut| format!("{cut:?}"), |reply| reply.verdict())
            }
            Attack::Scene(run) => run(envoy, protocol),
        };
        let Self { name, answer, .. } = self;
        (!fits(&verdict, answer)).then(|| format!("{name} over {protocol:?}: {verdict}, not {answer}"))
    }
}

/// Classes of one request each.
pub(super) fn over<N: ToString>(
    protocols: &'static [Protocol],
    rows: impl IntoIterator<Item = (N, Ask, &'static str)>,
) -> Vec<Class> {
    let class = |(name, ask, answer): (N, Ask, _)| Class {
        name: name.to_string(),
        protocols,
        attack: Attack::Request(ask),
        answer,
    };
    rows.into_iter().map(class).collect()
}

/// A class of several requests.
pub(super) fn scene(
    name: &str,
    protocols: &'static [Protocol],
    run: fn(&Envoy, Protocol) -> String,
    answer: &'static str,
) -> Class {
    Class { name: name.to_owned(), protocols, attack: Attack::Scene(run), answer }
}

/// A number that no scene has had.
pub(super) fn number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// A name that no scene has had.
pub(super) fn fresh(name: &str) -> String {
    format!("{name}-{}", number())
}

/// Sends every class once; how many times something was sent, and each with another answer than the right one.
pub(crate) fn hostile_round(envoy: &Envoy, classes: &[Class]) -> (u64, Vec<String>) {
    let (mut sent, mut wrong) = (0, Vec::new());
    for class in classes {
        for protocol in class.protocols {
            sent += 1;
            wrong.extend(class.try_over(envoy, *protocol));
        }
    }
    (sent, wrong)
}

/// As `hostile_round`, all at once: it takes as long as the longest of them.
pub(crate) fn hostile_crowd(envoy: &Envoy, classes: &[Class]) -> (u64, Vec<String>) {
    std::thread::scope(|scope| {
        let each = classes.iter().flat_map(|class| class.protocols.iter().map(move |over| (class, *over)));
        let running: Vec<_> = each
            .map(|(class, protocol)| (class, scope.spawn(move || class.try_over(envoy, protocol))))
            .collect();
        let sent = running.len() as u64;
        let wrong = running.into_iter().filter_map(|(class, scene)| {
            // One that never ends must not hide what the others found.
            scene.join().unwrap_or_else(|_| Some(format!("{}: no answer, see above", class.name)))
        });
        (sent, wrong.collect())
    })
}
