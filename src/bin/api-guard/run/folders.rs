//! Where `run` keeps what outlives it: a fetched Envoy in the user's cache, secrets in the user's state (XDG).

use std::path::PathBuf;

use etcetera::base_strategy::{BaseStrategy, Xdg};

use crate::outcome::Failure;

/// The folder for what can be fetched again.
pub(super) fn cache() -> Result<PathBuf, Failure> {
    Ok(strategy()?.cache_dir().join("api-guard"))
}

/// The folder for what is kept from one run to the next.
pub(super) fn state() -> Result<PathBuf, Failure> {
    let strategy = strategy()?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("api-guard"))
}

fn strategy() -> Result<Xdg, Failure> {
    Xdg::new().map_err(|_| Failure::failed("the user has no home folder: set HOME"))
}
