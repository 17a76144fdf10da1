//! Who tells streams and configurations that time has passed? Envoy gives its modules no timer, so a thread of ours reminds
//! it of those that asked, through their schedulers; the hooks then run on the threads that they belong to.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crate::abi::{self, Scheduled, Scheduler};

/// How often the thread wakes.
const PERIOD: Duration = Duration::from_millis(100);
/// A stream is reminded in every period of its first second, and then in each fifth: whoever waits longer waits for a
/// deadline of many seconds.
const EARLY_PERIODS: u32 = 10;
const LATER_EVERY: u32 = 5;
/// A configuration is reminded at once, and then every second.
const CONFIG_EVERY: u32 = 10;

#[derive(Default)]
struct Waiting {
    entries: HashMap<u64, Entry>,
    last: u64,
}

struct Entry {
    scheduler: Scheduler,
    /// Periods that have passed since it was registered.
    age: u32,
}

static WAITING: LazyLock<Mutex<Waiting>> = LazyLock::new(Mutex::default);

/// The right to be reminded. It ends when it is dropped: nothing is scheduled afterwards.
pub(crate) struct Ticket(u64);

/// Begins to remind Envoy through `scheduler`; `None` if there is no thread for it.
pub(crate) fn register(scheduler: Scheduler) -> Option<Ticket> {
    static THREAD: OnceLock<bool> = OnceLock::new();
    let is_running =
        THREAD.get_or_init(|| thread::Builder::new().name("api-guard".to_owned()).spawn(run).is_ok());
    if !is_running {
        return None;
    }
    let mut waiting = lock();
    waiting.last = waiting.last.wrapping_add(1);
    let number = waiting.last;
    waiting.entries.insert(number, Entry { scheduler, age: 0 });
    Some(Ticket(number))
}

impl Ticket {
    /// Whoever has it can remind out of turn.
    pub(crate) fn reminder(&self) -> Reminder {
        Reminder(self.0)
    }
}

/// Reminds out of turn.
pub(crate) struct Reminder(u64);

impl Reminder {
    /// Reminds now, as long as there is a ticket.
    pub(crate) fn remind(&self) {
        if let Some(entry) = lock().entries.get(&self.0) {
            entry.scheduler.commit();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let entry = lock().entries.remove(&self.0);
        // Deleted outside the lock, for it costs a call.
        drop(entry);
    }
}

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
            let is_due = match entry.scheduler.kind() {
                Scheduled::Stream => entry.age <= EARLY_PERIODS || entry.age.is_multiple_of(LATER_EVERY),
                Scheduled::Config => entry.age == 1 || entry.age.is_multiple_of(CONFIG_EVERY),
            };
            if is_due {
                entry.scheduler.commit();
            }
        }
    }
}
