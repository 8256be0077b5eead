//! The network between a server and its database, which can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Passes connections on to another address until it is cut.
pub(crate) struct Relay {
    port: u16,
    gate: Arc<Gate>,
}

struct Gate {
    address: Mutex<String>,
    open: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// A relay to `host:port`.
    pub(crate) fn to(address: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Arc::new(Gate { address: Mutex::new(address), open: AtomicBool::new(true), streams: Mutex::default() });
        let kept = Arc::clone(&gate);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                kept.pass(client);
            }
        });
        Self { port, gate }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Breaks every connection and lets no new one through.
    pub(crate) fn cut(&self) {
        self.gate.open.store(false, Ordering::SeqCst);
        for stream in self.gate.streams.lock().unwrap().drain(..) {
            // One that is closed already cannot be closed, and nothing is wrong with that.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Leads to another address from now on. Connections that are there stay where they are.
    pub(crate) fn lead_to(&self, address: String) {
        *self.gate.address.lock().unwrap() = address;
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.gate.open.store(true, Ordering::SeqCst);
    }
}

impl Gate {
    fn pass(&self, client: TcpStream) {
        if !self.open.load(Ordering::SeqCst) {
            return;
        }
        let address = self.address.lock().unwrap().clone();
        let Ok(server) = TcpStream::connect(address) else { return };
        {
            let mut streams = self.streams.lock().unwrap();
            streams.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        }
        // Cut between the look above and the list: nobody would break these.
        if !self.open.load(Ordering::SeqCst) {
            drop(client.shutdown(Shutdown::Both));
            return;
        }
        let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
        for (from, to) in [(client, server), back] {
            std::thread::spawn(move || pump(from, to));
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}
