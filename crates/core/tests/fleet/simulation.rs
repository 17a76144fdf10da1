//! Many Envoys and one store, under a clock that the test moves: delays, loss, reordering, restarts of either, partitions.
//!
//! After every admission: no more than the limit in any window while the store is reached by all, and no more than
//! twice that around the edges of an outage. `API_GUARD_SIMULATION=1000` runs as many Envoys as that.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::num::NonZeroU32;

use api_guard_core::cells::MemoryCells;
use api_guard_core::fleet::{
    CallResponse, Demand, FleetLimit, FleetRule, Member, Names, SharedLink, Standing, Unit, WhenUnreachable,
};
use api_guard_core::limit::window::Window;
use api_guard_core::limit::{Identity, Quota};
use api_guard_core::revocation::Revocations;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;

use super::model::ModelStore;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const START: u64 = 1_796_000_000 * SECOND;
const TIMEOUT: u64 = 120;
const TICK: u64 = 100;
/// The clock that a worker goes by is so much behind the one before it: it was read before the lock could be had.
const LATE: u64 = 3 * MILLISECOND;

/// What a run is like.
#[derive(Clone, Copy)]
struct Scene {
    envoys: usize,
    /// Of each Envoy. They share a link; the first one calls.
    workers: usize,
    max: u32,
    window_seconds: u32,
    callers: u32,
    /// Demand of all callers together, as a multiple of what the limits admit.
    demand: f64,
    /// Each caller comes to so many Envoys.
    spread: usize,
    seconds: u64,
    limit: FleetLimit,
    /// Each way between an Envoy and the store takes so long, nanoseconds: at least, and more than that at most.
    ways: (u64, u64),
    /// One call of so many is lost, half of them after the store has run it; 0: none.
    loses_one_in: u64,
    /// What goes wrong, and when, in seconds.
    events: &'static [(u64, Trouble)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// These Envoys (one of so many) do not reach the store.
    Cut(usize),
    /// All do again.
    Heal,
    /// The store does not answer at all.
    Down,
    /// It is back, with or without what it held.
    Up { empty: bool },
    /// A replica takes its place whose clock is behind, seconds.
    Behind(u64),
    /// An Envoy (one of so many) starts anew.
    Restart(usize),
    /// The Envoys' clocks (one of so many) step back by so many seconds.
    StepBack(usize, u64),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick(usize),
    Request(u32),
    /// A call reaches the store.
    Arrive {
        envoy: usize,
        life: u32,
        number: u32,
        body: Vec<u8>,
        reply_lost: bool,
    },
    /// A request that another limit has refused puts its unit back.
    PutBack {
        envoy: usize,
        life: u32,
        worker: usize,
        unit: OfCaller,
    },
    /// An answer reaches the Envoy; none is a time-out.
    Return {
        envoy: usize,
        life: u32,
        number: u32,
        reply: Option<Vec<u8>>,
    },
    Trouble(Trouble),
}

#[derive(Clone, Copy)]
struct Waiting {
    caller: u32,
    worker: usize,
    answered: u32,
    since: u64,
    again: bool,
}

/// A unit of a caller, which no order tells from others.
#[derive(Debug, Clone, Copy)]
struct OfCaller(u32, Unit);

impl PartialEq for OfCaller {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for OfCaller {}

impl PartialOrd for OfCaller {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OfCaller {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

struct Envoy {
    workers: Vec<Member>,
    /// What this Envoy counts itself, by caller.
    local: HashMap<u32, Window>,
    /// What it has spent of what it owns, by caller.
    owned: HashMap<u32, Window>,
    /// Requests that wait.
    waiting: Vec<Waiting>,
    life: u32,
    cut: bool,
    /// By how much its clock is behind.
    behind: u64,
}

#[derive(Debug, Default)]
struct Figures {
    admitted: u64,
    refused: u64,
    waited: u64,
    unreachable: u64,
    /// Requests that the store has not answered in time.
    overdue: u64,
    calls: u64,
    /// The most of one caller in any window.
    worst_calm: usize,
    worst: usize,
    /// The fewest of one caller in the last window.
    last_window: usize,
    longest_wait: u64,
    leased: u64,
    returned: u64,
}

struct Run {
    scene: Scene,
    rule: FleetRule,
    names: HashMap<u32, Identity>,
    store: ModelStore,
    is_down: bool,
    envoys: Vec<Envoy>,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    random: u64,
    now: u64,
    /// When something was last out of order.
    trouble_at: u64,
    admissions: HashMap<u32, VecDeque<u64>>,
    /// None are shared here.
    revocations: Revocations,
    cells: MemoryCells,
    figures: Figures,
}

pub(crate) fn rule() -> FleetRule {
    FleetRule {
        cluster: "store".to_owned(),
        login: None,
        names: Names::new(Secret::from_bytes(MacAlgorithm::Hs256, &[7; 32]).unwrap(), "ag".to_owned()),
        timeout_milliseconds: u32::try_from(TIMEOUT).unwrap(),
        nodes: None,
        longest_private_window_seconds: 10,
        revocations: None,
    }
}

impl Run {
    fn new(scene: Scene, seed: u64) -> Self {
        let mut run = Self {
            scene,
            rule: rule(),
            names: HashMap::new(),
            store: ModelStore::default(),
            is_down: false,
            envoys: Vec::new(),
            queue: BinaryHeap::new(),
            order: 0,
            random: seed * 2 + 1,
            now: START,
            trouble_at: 0,
            admissions: HashMap::new(),
            revocations: Revocations::open(&MemoryCells::new(), Seed::from_bytes([0; 16]), 1).unwrap(),
            cells: MemoryCells::new(),
            figures: Figures::default(),
        };
        for index in 0..scene.envoys {
            let workers = run.workers(index, 0);
            run.envoys.push(Envoy {
                workers,
                local: HashMap::new(),
                owned: HashMap::new(),
                waiting: Vec::new(),
                life: 0,
                cut: false,
                behind: 0,
            });
            let at = run.below(100 * MILLISECOND);
            run.at(at, Event::Tick(index));
        }
        for caller in 0..scene.callers {
            let digest = run.rule.names.seed().digest("caller", [&caller.to_le_bytes()[..]]);
            run.names.insert(caller, Identity::from_digest(digest));
            run.at(SECOND, Event::Request(caller));
        }
        for (seconds, trouble) in scene.events {
            run.at(seconds * SECOND, Event::Trouble(*trouble));
        }
        run
    }

    fn workers(&mut self, index: usize, life: u32) -> Vec<Member> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(index as u64).to_le_bytes());
        bytes[8..12].copy_from_slice(&life.to_le_bytes());
        let link = SharedLink::default();
        let join = |_| Member::join(&link, &self.rule, Seed::from_bytes(bytes), bytes);
        (0..self.scene.workers).map(join).collect()
    }

    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// One way, short ones more often.
    fn delay(&mut self) -> u64 {
        let scale = self.below(9);
        let (least, more) = self.scene.ways;
        least + self.below((100_000_u64 << scale).min(more))
    }

    fn at(&mut self, after: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((self.now + after, self.order, event)));
    }

    fn clock(&self, envoy: usize) -> UnixNanos {
        UnixNanos::from_nanos(self.now - self.envoys[envoy].behind)
    }

    fn run(mut self) -> Figures {
        let end = START + self.scene.seconds * SECOND;
        while let Some(Reverse((at, _, event))) = self.queue.pop() {
            if at > end {
                break;
            }
            self.now = at;
            self.handle(event);
        }
        let window = u64::from(self.scene.window_seconds) * SECOND;
        let lasts = self.admissions.values().map(|all| all.iter().filter(|at| **at + window > end).count());
        self.figures.last_window = lasts.min().unwrap_or(0);
        self.figures.calls = self.store.calls;
        self.figures
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick(envoy) => {
                let now = self.clock(envoy);
                self.envoys[envoy].workers[0].with(now, |link, now| link.on_tick(now)).unwrap();
                self.go_on(envoy);
                self.call(envoy);
                self.at(TICK * MILLISECOND, Event::Tick(envoy));
            }
            Event::Request(caller) => {
                let (callers, spread) = (u64::from(self.scene.callers), self.scene.spread as u64);
                let rate =
                    self.scene.demand * f64::from(self.scene.max) / f64::from(self.scene.window_seconds);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a test's demand"
                )]
                let mean = (SECOND as f64 / rate) as u64;
                let gap = self.below(2 * mean);
                self.at(gap, Event::Request(caller));
                let first = u64::from(caller) * self.scene.envoys as u64 / callers;
                let envoy = (first + self.below(spread)) as usize % self.scene.envoys;
                let worker = self.worker();
                self.judge(envoy, worker, caller, None);
                self.call(envoy);
            }
            Event::Arrive { envoy, life, number, body, reply_lost } => {
                if self.is_down {
                    return;
                }
                let reply = self.store.call(&body, UnixNanos::from_nanos(self.now));
                if !reply_lost {
                    let delay = self.delay();
                    self.at(delay, Event::Return { envoy, life, number, reply: Some(reply) });
                }
            }
            Event::PutBack { envoy, life, worker, unit: OfCaller(caller, unit) } => {
                if self.envoys[envoy].life == life {
                    let (now, identity) = (self.worker_clock(envoy, worker), self.names[&caller]);
                    let worker = &mut self.envoys[envoy].workers[worker];
                    worker.with(now, |link, _| link.put_back(identity, unit)).unwrap();
                }
            }
            Event::Return { envoy, life, number, reply } => {
                if self.envoys[envoy].life != life {
                    return;
                }
                let now = self.clock(envoy);
                let response = reply.as_deref().map_or(CallResponse::TimedOut, CallResponse::Reply);
                let Self { rule, revocations, cells, .. } = self;
                let ended = self.envoys[envoy].workers[0]
                    .with(now, |link, now| link.end(rule, number, response, revocations, cells, now))
                    .unwrap();
                let Some(ended) = ended else { return };
                self.figures.leased += u64::from(ended.leased);
                self.figures.returned += u64::from(ended.returned);
                if ended.outcome.as_str() != "ok" {
                    self.trouble_at = self.now;
                }
                self.go_on(envoy);
                self.call(envoy);
            }
            Event::Trouble(trouble) => {
                self.trouble_at = self.now;
                match trouble {
                    Trouble::Cut(one_in) => {
                        self.envoys.iter_mut().step_by(one_in).for_each(|envoy| envoy.cut = true);
                    }
                    Trouble::Heal => self.envoys.iter_mut().for_each(|envoy| envoy.cut = false),
                    Trouble::Down => self.is_down = true,
                    Trouble::Up { empty } => {
                        self.is_down = false;
                        self.store.restart();
                        if empty {
                            self.store.lose_all();
                        }
                    }
                    Trouble::Behind(seconds) => {
                        self.store.behind = seconds * SECOND;
                        self.store.restart();
                    }
                    Trouble::Restart(one_in) => {
                        for index in (0..self.envoys.len()).step_by(one_in) {
                            let life = self.envoys[index].life + 1;
                            let workers = self.workers(index, life);
                            let envoy = &mut self.envoys[index];
                            (envoy.workers, envoy.life) = (workers, life);
                            envoy.local.clear();
                            envoy.owned.clear();
                            envoy.waiting.clear();
                        }
                    }
                    Trouble::StepBack(one_in, seconds) => {
                        let step = seconds * SECOND;
                        self.envoys.iter_mut().step_by(one_in).for_each(|envoy| envoy.behind += step);
                    }
                }
            }
        }
    }

    /// The worker that a request comes to.
    fn worker(&mut self) -> usize {
        // One worker leaves the random numbers of a run as they are.
        if self.scene.workers == 1 { 0 } else { self.below(self.scene.workers as u64) as usize }
    }

    fn worker_clock(&self, envoy: usize, worker: usize) -> UnixNanos {
        UnixNanos::from_nanos(self.clock(envoy).nanos() - worker as u64 * LATE)
    }

    /// What the guard does with a request.
    fn judge(&mut self, index: usize, worker: usize, caller: u32, waited_since: Option<u64>) {
        let now = self.worker_clock(index, worker);
        let Scene { max, window_seconds, limit, .. } = self.scene;
        let (max, window_seconds) = (NonZeroU32::new(max).unwrap(), NonZeroU32::new(window_seconds).unwrap());
        let quota = |max_requests| Quota { max_requests, window_seconds, warn_at_percent: None };
        let identity = self.names[&caller];
        let demand = Demand { identity, units: limit.shared(max), window_seconds };
        if let Some(since) = waited_since {
            self.figures.longest_wait = self.figures.longest_wait.max(self.now - since);
        }
        let is_refused_otherwise = self.scene.workers > 1 && self.below(8) == 0;
        let envoy = &mut self.envoys[index];
        let member = &mut envoy.workers[worker];
        let local = envoy.local.entry(caller).or_insert_with(|| Window::new(window_seconds, now));
        let _ = local.advance(window_seconds, now);
        let owned = member.with(now, |link, now| link.owned(&self.rule, limit, max, now)).unwrap();
        if let Some(share) = owned {
            let owned = envoy.owned.entry(caller).or_insert_with(|| Window::new(window_seconds, now));
            let _ = owned.advance(window_seconds, now);
            if owned.remaining(&quota(share)) > 0 {
                owned.spend(&quota(share));
                local.spend(&quota(max));
                return self.admit(caller);
            }
        }
        match member.with(now, |link, now| link.take(&self.rule, demand, now)).unwrap() {
            Standing::Taken(unit) if is_refused_otherwise => {
                let (life, unit) = (envoy.life, OfCaller(caller, unit));
                let at = self.below(MILLISECOND);
                self.at(at, Event::PutBack { envoy: index, life, worker, unit });
            }
            Standing::Taken(_) => {
                local.spend(&quota(max));
                self.figures.waited += u64::from(waited_since.is_some());
                self.admit(caller);
            }
            Standing::Refused(outcome) => {
                assert!(outcome.retry_after_seconds >= 1);
                self.figures.refused += 1;
            }
            Standing::Unreachable => {
                self.figures.unreachable += 1;
                let nodes = member.with(now, |link, _| link.nodes(&self.rule)).unwrap();
                let share = limit.unreachable(max, nodes);
                match share.filter(|share| local.remaining(&quota(*share)) > 0) {
                    Some(share) => {
                        local.spend(&quota(share));
                        member.with(now, |link, _| link.owe(identity)).unwrap();
                        self.admit(caller);
                    }
                    None => self.figures.refused += 1,
                }
            }
            Standing::Ask => {
                let answered = member.with(now, |link, _| link.wait(identity)).unwrap();
                let (since, again) = (waited_since.unwrap_or(self.now), waited_since.is_some());
                envoy.waiting.push(Waiting { caller, worker, answered, since, again });
            }
        }
    }

    /// What becomes of the requests that wait at an Envoy.
    fn go_on(&mut self, envoy: usize) {
        for waiting in std::mem::take(&mut self.envoys[envoy].waiting) {
            let Waiting { caller, worker, answered, since, again } = waiting;
            let (now, identity) = (self.worker_clock(envoy, worker), self.names[&caller]);
            let is_answered = self.envoys[envoy].workers[worker]
                .with(now, |link, _| link.is_answered(identity, answered))
                .unwrap();
            if is_answered {
                self.judge(envoy, worker, caller, Some(since));
            } else if self.now - since < 2 * TIMEOUT * MILLISECOND {
                self.envoys[envoy].waiting.push(waiting);
            } else if again {
                self.figures.refused += 1;
            } else {
                self.figures.overdue += 1;
            }
        }
    }

    fn admit(&mut self, caller: u32) {
        let Scene { max, window_seconds, .. } = self.scene;
        self.figures.admitted += 1;
        let window = u64::from(window_seconds) * SECOND;
        let admissions = self.admissions.entry(caller).or_default();
        admissions.push_back(self.now);
        while admissions.front().is_some_and(|at| at + window < self.now) {
            admissions.pop_front();
        }
        let count = admissions.len();
        // A window later, and the sub-window by which a unit may leave late, all is as if nothing had been.
        let is_calm = self.trouble_at + window + window / 16 + SECOND < self.now;
        self.figures.worst = self.figures.worst.max(count);
        if is_calm {
            self.figures.worst_calm = self.figures.worst_calm.max(count);
            assert!(count <= max as usize, "{count} of {max} with the store in reach");
        }
    }

    fn call(&mut self, index: usize) {
        let now = self.clock(index);
        let Self { rule, revocations, cells, .. } = self;
        let call = self.envoys[index].workers[0]
            .with(now, |link, now| link.begin(rule, revocations, cells, now))
            .unwrap();
        let Some(call) = call else { return };
        let (number, body) = (call.number, call.body);
        let life = self.envoys[index].life;
        let one_in = self.scene.loses_one_in;
        let is_lost = one_in > 0 && self.below(one_in) == 0;
        let reply_lost = is_lost && self.below(2) == 0;
        self.at(TIMEOUT * MILLISECOND, Event::Return { envoy: index, life, number, reply: None });
        if self.envoys[index].cut || self.is_down || (is_lost && !reply_lost) {
            return;
        }
        let mut delay = self.delay();
        // A call that the Envoy has given up may still arrive, behind later ones.
        if reply_lost && self.below(2) == 0 {
            delay += self.below(3 * SECOND);
        }
        self.at(delay, Event::Arrive { envoy: index, life, number, body, reply_lost });
    }
}

fn envoys(usual: usize) -> usize {
    std::env::var("API_GUARD_SIMULATION").ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

const SHARE: FleetLimit = FleetLimit { when_unreachable: WhenUnreachable::Share, private_percent: 0 };

fn calm() -> Scene {
    Scene {
        envoys: envoys(20),
        workers: 1,
        max: 200,
        window_seconds: 10,
        callers: 3,
        demand: 2.0,
        spread: 3,
        seconds: 90,
        limit: SHARE,
        ways: (MILLISECOND / 10, 25 * MILLISECOND),
        loses_one_in: 0,
        events: &[],
    }
}

#[test]
fn a_fleet_admits_what_its_limit_says_and_nearly_all_of_it() {
    let figures = Run::new(calm(), 1).run();
    eprintln!("{figures:?}");
    assert!(figures.worst_calm <= 200 && figures.last_window >= 170, "{figures:?}");
    assert_eq!(figures.unreachable, 0);
}

#[test]
fn workers_that_share_a_link_keep_the_limit_and_waste_no_more_of_it_than_one_would() {
    let scene = Scene { workers: 4, ..calm() };
    let figures = Run::new(scene, 20).run();
    eprintln!("{figures:?}");
    assert!(figures.worst_calm <= 200 && figures.last_window >= 170, "{figures:?}");
    assert_eq!(figures.unreachable, 0, "times that are a little out of order are no trouble");
    // Of few units each counts: none is taken twice, and none that was put back is lost.
    let few = Run::new(Scene { max: 8, demand: 20.0, envoys: 3, spread: 1, callers: 20, ..scene }, 21).run();
    eprintln!("{few:?}");
    assert!(few.worst_calm == 8 && few.last_window >= 6, "{few:?}");
}

#[test]
fn workers_that_share_a_link_admit_nothing_twice_whatever_happens() {
    const ALL: &[(u64, Trouble)] = &[
        (20, Trouble::Restart(2)),
        (30, Trouble::StepBack(3, 2)),
        (50, Trouble::StepBack(2, 600)),
        (70, Trouble::Cut(2)),
        (80, Trouble::Heal),
        (95, Trouble::Down),
        (100, Trouble::Up { empty: true }),
    ];
    for seed in 22..26 {
        let scene = Scene { workers: 4, events: ALL, seconds: 130, loses_one_in: 100, ..calm() };
        let figures = Run::new(scene, seed).run();
        eprintln!("{figures:?}");
        assert!(
            figures.worst <= 400 && figures.worst_calm <= 200 && figures.last_window >= 150,
            "{figures:?}"
        );
    }
}

#[test]
fn a_fleet_of_many_envoys_for_one_caller_keeps_the_limit() {
    let envoys = envoys(20);
    let figures = Run::new(Scene { spread: envoys, callers: 1, demand: 3.0, ..calm() }, 2).run();
    eprintln!("{figures:?}");
    assert!(figures.worst_calm <= 200 && figures.last_window >= 170, "{figures:?}");
}

#[test]
fn what_envoys_own_is_part_of_the_limit() {
    let limit = FleetLimit { private_percent: 48, ..SHARE };
    let scene = Scene { limit, envoys: 3, seconds: 180, ..calm() };
    let figures = Run::new(scene, 3).run();
    eprintln!("{figures:?}");
    assert!(figures.worst_calm <= 200 && figures.last_window >= 150, "{figures:?}");
    let joins = Scene { events: &[(100, Trouble::Restart(2))], ..scene };
    let figures = Run::new(joins, 3).run();
    assert!(figures.worst_calm <= 200, "{figures:?}");
}

#[test]
fn around_an_outage_no_more_than_twice_the_limit_is_admitted() {
    for (seed, empty) in [(4, false), (5, true)] {
        let events: &[_] = if empty {
            &[(30, Trouble::Down), (36, Trouble::Up { empty: true })]
        } else {
            &[(30, Trouble::Down), (36, Trouble::Up { empty: false })]
        };
        let figures = Run::new(Scene { events, ..calm() }, seed).run();
        eprintln!("{figures:?}");
        assert!(figures.worst <= 400 && figures.last_window >= 170, "{figures:?}");
        assert!(figures.unreachable > 0 && figures.longest_wait <= TIMEOUT * MILLISECOND, "{figures:?}");
    }
}

#[test]
fn few_envoys_whose_store_comes_and_goes_keep_to_twice_the_limit() {
    const COMES_AND_GOES: &[(u64, Trouble)] = &[
        (21, Trouble::Down),
        (24, Trouble::Up { empty: false }),
        (33, Trouble::Down),
        (52, Trouble::Up { empty: true }),
        (55, Trouble::Down),
        (57, Trouble::Up { empty: true }),
        (70, Trouble::Cut(2)),
        (95, Trouble::Heal),
    ];
    for (seed, max) in [(15, 200), (16, 200), (17, 30), (18, 2)] {
        let scene = Scene { events: COMES_AND_GOES, envoys: 3, seconds: 130, demand: 4.0, max, ..calm() };
        let figures = Run::new(scene, seed).run();
        eprintln!("{figures:?}");
        let most = usize::try_from(max).unwrap();
        assert!(figures.worst <= most + most.max(3) + most / 10, "{figures:?}");
        // A sub-window of a small limit holds few units, of which one that lies unspent is a large part.
        let least = if max >= 100 { most * 85 / 100 } else { most / 2 };
        assert!(figures.worst_calm <= most && figures.last_window >= least, "{figures:?}");
    }
}

#[test]
fn envoys_that_are_cut_off_admit_their_share() {
    let events = &[(30, Trouble::Cut(3)), (630, Trouble::Heal)];
    let figures = Run::new(Scene { events, seconds: 680, ..calm() }, 6).run();
    eprintln!("{figures:?}");
    assert!(figures.worst <= 400 && figures.last_window >= 170, "{figures:?}");
}

#[test]
fn lost_late_and_repeated_calls_admit_nothing_twice() {
    for seed in 7..12 {
        let figures = Run::new(Scene { loses_one_in: 50, ..calm() }, seed).run();
        eprintln!("{figures:?}");
        assert!(figures.worst <= 400, "{figures:?}");
    }
}

#[test]
fn a_store_whose_clock_is_behind_refunds_nothing() {
    for behind in [1, 9, 3600] {
        let events: &'static [_] = match behind {
            1 => &[(40, Trouble::Behind(1))],
            9 => &[(40, Trouble::Behind(9))],
            _ => &[(40, Trouble::Behind(3600))],
        };
        let figures = Run::new(Scene { events, ..calm() }, 13).run();
        eprintln!("{figures:?}");
        assert!(figures.worst <= 200 && figures.last_window >= 150, "{figures:?}");
    }
}

#[test]
fn restarted_envoys_and_clocks_that_step_back_admit_nothing_twice() {
    let events = &[(30, Trouble::Restart(2)), (50, Trouble::StepBack(3, 2)), (70, Trouble::StepBack(2, 600))];
    let figures = Run::new(Scene { events, seconds: 120, ..calm() }, 14).run();
    eprintln!("{figures:?}");
    assert!(figures.worst <= 200 && figures.last_window >= 150, "{figures:?}");
}

#[test]
fn a_slow_store_that_is_reached_keeps_the_limit_and_nobody_waits_for_more_than_two_calls() {
    for seed in 19..23 {
        // There and back takes less than the time-out, and twice that takes more.
        let ways = (35 * MILLISECOND, 20 * MILLISECOND);
        let figures = Run::new(Scene { ways, envoys: 3, demand: 4.0, ..calm() }, seed).run();
        eprintln!("{figures:?}");
        assert_eq!((figures.unreachable, figures.overdue), (0, 0), "{figures:?}");
        assert!(figures.worst <= 200 && figures.last_window >= 150, "{figures:?}");
        assert!(figures.longest_wait > TIMEOUT * MILLISECOND, "{figures:?}");
        assert!(figures.longest_wait <= (2 * TIMEOUT + TICK) * MILLISECOND, "{figures:?}");
    }
}
