//! Ports for the processes that a test starts.

use std::net::{Ipv4Addr, TcpListener};

/// Ports of 127.0.0.1 that nobody listens on, each another one.
///
/// # Panics
///
/// If there are not so many.
pub fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    // All are taken before the first is given back.
    let listeners = [(); COUNT].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
