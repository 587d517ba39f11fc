//! A proxy before PostgreSQL that cuts connections at a message of one's choice.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// No message of these tests is longer.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Whose messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Where a connection is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) side: Side,
    /// How many messages of that side pass before, over all connections.
    pub(crate) message: usize,
    /// Whether the first half of the message still passes.
    pub(crate) within: bool,
}

/// A running proxy. It takes no more connections once dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    armed: Arc<Mutex<Option<Cut>>>,
    is_closed: Arc<AtomicBool>,
}

impl Proxy {
    /// A proxy before a server at `host:port`.
    pub(crate) fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let armed = Arc::new(Mutex::new(None));
        let is_closed = Arc::new(AtomicBool::new(false));
        let (server, shared, closed) = (server.to_owned(), armed.clone(), is_closed.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                if closed.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(&server) else {
                    continue;
                };
                for stream in [&client, &server] {
                    stream.set_nodelay(true).expect("it is open");
                }
                for side in [Side::Client, Side::Server] {
                    let pair = client
                        .try_clone()
                        .and_then(|c| Ok((c, server.try_clone()?)));
                    let (client, server) = pair.expect("descriptors are left");
                    let armed = shared.clone();
                    thread::spawn(move || pump(side, &client, &server, &armed));
                }
            }
        });
        Self {
            address,
            armed,
            is_closed,
        }
    }

    /// Cuts one connection, once.
    pub(crate) fn arm(&self, cut: Cut) {
        *lock(&self.armed) = Some(cut);
    }

    /// Cuts nothing any more. Whether something was cut.
    pub(crate) fn disarm(&self) -> bool {
        lock(&self.armed).take().is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        // Wakes the listener; where that fails it has ended.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock(armed: &Mutex<Option<Cut>>) -> MutexGuard<'_, Option<Cut>> {
    armed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands one side's messages on until the connection ends, and ends it for both.
fn pump(side: Side, client: &TcpStream, server: &TcpStream, armed: &Mutex<Option<Cut>>) {
    let (mut from, mut to) = match side {
        Side::Client => (client, server),
        Side::Server => (server, client),
    };
    let mut is_first = side == Side::Client;
    while let Some(message) = next_message(&mut from, is_first) {
        is_first = false;
        let bytes = match passes(side, armed) {
            Passes::Whole => message.as_slice(),
            Passes::Half => message.split_at(message.len() / 2).0,
            Passes::Nothing => &[],
        };
        if to.write_all(bytes).is_err() || bytes.len() < message.len() {
            break;
        }
    }
    // The other side may have ended it already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

enum Passes {
    Half,
    Nothing,
    Whole,
}

fn passes(side: Side, armed: &Mutex<Option<Cut>>) -> Passes {
    let mut armed = lock(armed);
    match armed.as_mut() {
        Some(cut) if cut.side == side && cut.message == 0 => {
            let passes = if cut.within {
                Passes::Half
            } else {
                Passes::Nothing
            };
            *armed = None;
            passes
        }
        Some(cut) if cut.side == side => {
            cut.message -= 1;
            Passes::Whole
        }
        _ => Passes::Whole,
    }
}

/// A message of the protocol: its length, which counts itself, after a byte that says what it is.
/// A client's first one has no such byte.
fn next_message(from: &mut impl Read, is_first: bool) -> Option<Vec<u8>> {
    let head = if is_first { 4 } else { 5 };
    let mut message = vec![0; head];
    from.read_exact(&mut message).ok()?;
    let length = message
        .last_chunk::<4>()
        .map(|bytes| u32::from_be_bytes(*bytes))?;
    let length = usize::try_from(length).ok()?;
    assert!((4..MESSAGE_BYTES_MAX).contains(&length), "not the protocol");
    message.resize(head + length - 4, 0);
    from.read_exact(message.get_mut(head..)?).ok()?;
    Some(message)
}
