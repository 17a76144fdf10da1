//! Log lines, to Envoy's log. The SDK does the same, but brings its objects into the module with it: 15 KB.

use crate::abi;

/// ABI 0.2.1: `proxy_log_level_t`.
const INFO: u32 = 2;
const WARN: u32 = 3;
const ERROR: u32 = 4;

struct EnvoyLog;

impl log::Log for EnvoyLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => ERROR,
            log::Level::Warn => WARN,
            log::Level::Info => INFO,
            // Above the level that `start` sets.
            log::Level::Debug | log::Level::Trace => return,
        };
        match record.args().as_str() {
            Some(line) => abi::log(level, line),
            None => abi::log(level, &record.args().to_string()),
        }
    }

    fn flush(&self) {}
}

/// Sends what is logged from now on to Envoy, and what a panic says before it ends the VM. The module that ships says
/// nothing then: it traps at once.
pub(crate) fn start() {
    // Fails only where a logger is set already, which then is this one.
    if log::set_logger(&EnvoyLog).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
        #[cfg(feature = "sdk")]
        std::panic::set_hook(Box::new(|panic| abi::log(ERROR, &panic.to_string())));
    }
}
