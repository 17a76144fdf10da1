//! Takes connections at an address of loopback that can go down and come up again.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A place where a server listens. It is down until it is told to go up, and goes down with this value.
pub(crate) struct Listening {
    address: SocketAddr,
    is_down: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Listening {
    /// At a free port of this address: one from which the system takes no ports of clients, so that the port is free again
    /// later.
    pub(crate) fn on(ip: &str) -> Self {
        let address = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
        Self { address, is_down: Arc::new(AtomicBool::new(true)), thread: Mutex::default() }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to listen. Each connection is served in a thread of its own.
    pub(crate) fn go_up<R>(&self, serve: impl Fn(TcpStream) -> R + Send + Sync + 'static) {
        self.is_down.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(self.address).unwrap();
        let (is_down, serve) = (Arc::clone(&self.is_down), Arc::new(serve));
        *self.thread.lock().unwrap() = Some(std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if is_down.load(Ordering::SeqCst) {
                    return;
                }
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || drop(serve(connection)));
            }
        }));
    }

    /// Refuses connections from now on.
    pub(crate) fn go_down(&self) {
        self.is_down.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.lock().unwrap().take() {
            drop(TcpStream::connect(self.address));
            thread.join().unwrap();
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.go_down();
    }
}
