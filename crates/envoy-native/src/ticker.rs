//! Who tells streams and configurations that time has passed? Envoy gives its modules no timer, so a thread of ours reminds
//! it of those that asked, through their schedulers; the hooks then run on the threads that they belong to. Whoever waits for
//! the store of a fleet is reminded as well when a call to it has ended.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crate::abi::{self, Reminded, Scheduler};

/// How often the thread wakes.
const PERIOD: Duration = Duration::from_millis(100);
/// Whoever is reminded early is so in every period of its first second.
const EARLY_PERIODS: u32 = 10;

/// How often somebody is reminded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// In every period.
    Always,
    /// In every period of the first second, and then in each fifth: a stream that waits longer waits for a deadline of many
    /// seconds.
    Early,
    /// At once, and then every second.
    Seldom,
}

impl Pace {
    /// Whether somebody is reminded who was registered so many periods ago.
    const fn is_due(self, age: u32) -> bool {
        match self {
            Self::Always => true,
            Self::Early => age <= EARLY_PERIODS || age.is_multiple_of(5),
            Self::Seldom => age == 1 || age.is_multiple_of(10),
        }
    }
}

/// Who waits for the store of the configuration with this number; `None`: for something else.
type Store = Option<u64>;

#[derive(Default)]
struct Waiting {
    /// By what they wait for, and by number.
    entries: BTreeMap<(Store, u64), Entry>,
    last: u64,
}

struct Entry {
    scheduler: Scheduler,
    pace: Pace,
    /// Periods that have passed since it was registered.
    age: u32,
}

static WAITING: LazyLock<Mutex<Waiting>> = LazyLock::new(Mutex::default);

/// The right to be reminded. It ends when it is dropped: nothing is scheduled afterwards.
pub(crate) struct Ticket {
    number: u64,
    store: Cell<Store>,
}

/// Begins to remind Envoy through `scheduler`; `None` if there is no thread for it.
pub(crate) fn register(scheduler: Scheduler, pace: Pace) -> Option<Ticket> {
    static THREAD: OnceLock<bool> = OnceLock::new();
    let is_running =
        THREAD.get_or_init(|| thread::Builder::new().name("api-guard".to_owned()).spawn(run).is_ok());
    if !is_running {
        return None;
    }
    let mut waiting = lock();
    waiting.last = waiting.last.wrapping_add(1);
    let number = waiting.last;
    waiting.entries.insert((None, number), Entry { scheduler, pace, age: 0 });
    Some(Ticket { number, store: Cell::new(None) })
}

/// Reminds whoever waits for the store of a configuration.
pub(crate) fn wake(config: u64) {
    let store = Some(config);
    for entry in lock().entries.range((store, 0)..=(store, u64::MAX)).map(|(_, entry)| entry) {
        entry.scheduler.commit(Reminded::Tick);
    }
}

impl Ticket {
    /// Whoever has it can remind out of turn.
    pub(crate) fn reminder(&self) -> Reminder {
        Reminder(self.number)
    }

    /// Notes whose store the holder waits for.
    pub(crate) fn wait_for(&self, store: Store) {
        let before = self.store.replace(store);
        if before != store {
            let mut waiting = lock();
            if let Some(entry) = waiting.entries.remove(&(before, self.number)) {
                waiting.entries.insert((store, self.number), entry);
            }
        }
    }

    /// Reminds the holder now.
    pub(crate) fn remind(&self) {
        if let Some(entry) = lock().entries.get(&(self.store.get(), self.number)) {
            entry.scheduler.commit(Reminded::Tick);
        }
    }
}

/// Reminds a configuration out of turn that something is to be sent.
pub(crate) struct Reminder(u64);

impl Reminder {
    /// Reminds now, as long as there is a ticket.
    pub(crate) fn remind(&self) {
        if let Some(entry) = lock().entries.get(&(None, self.0)) {
            entry.scheduler.commit(Reminded::Call);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let entry = lock().entries.remove(&(self.store.get(), self.number));
        // Deleted outside the lock, for it costs a call.
        drop(entry);
    }
}

/// Held while somebody is reminded, so that nobody is once the ticket is gone: this puts a note into the queue of a thread of
/// Envoy's, and calls nothing of ours.
fn lock() -> MutexGuard<'static, Waiting> {
    // Each change of the map is whole or has not begun.
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run() {
    abi::block_signals();
    loop {
        thread::sleep(PERIOD);
        for entry in lock().entries.values_mut() {
            entry.age = entry.age.wrapping_add(1);
            if entry.pace.is_due(entry.age) {
                entry.scheduler.commit(Reminded::Tick);
            }
        }
    }
}
