//! The command `api-guard`: mints tokens, checks configurations, explains decisions.

fn main() {}
