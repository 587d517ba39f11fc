//! A stay on a store of one file, with a crash in its middle.
//!
//! Shows a store that was written from scratch (`src/lib.rs`, which also says what it is not good
//! for) under the core's commands. The program opens a room, sits down, dies while it writes, and
//! goes on where it was. Time is a value, so that takes no time.
//!
//! ```text
//! $ cargo run -p custom-store
//! alice sits at uid 659918 in room …
//! 30 s later: 1770 s left, 3 lines in the log
//! a crash leaves 20 bytes of another line
//! opened again: 20 bytes cut off, 1770 s left
//! alice leaves after 75 s: charged 75 s, 1725 s left, 4 lines in the log
//! ```

use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use custom_store::LogStore;
use session_core::room::{CreateRoom, Heartbeat, JoinRoom, LeaveRoom, StayName, Visibility};
use session_core::service::{Command, credits, execute};
use session_core::types::{Seconds, Wallet};
use session_testkit::bench::Bench;
use session_testkit::memory::MemoryStore;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("rooms.log");
    let alice: Wallet = "0x00000000000000000000000000000000000a11ce".parse()?;

    // The store is our own; the fakes of the testkit stand for the rest of the world.
    let mut bench = Bench::new(Arc::new(LogStore::open(&path)?), 1);
    bench.names.give(alice, "alice");
    let create = CreateRoom {
        wallet: alice,
        visibility: Visibility::Open,
        ai_enabled: false,
    };
    let room = Some(run(&bench, &create)?.room);
    let wallet = alice;
    let joined = run(&bench, &JoinRoom { wallet, room })?;
    println!(
        "alice sits at uid {} in room {}",
        joined.grant.uid, joined.room
    );
    let stay = StayName {
        wallet,
        room,
        connection: Some(joined.connection),
    };
    bench.clock.advance(Seconds::new(30));
    let seen = run(&bench, &Heartbeat(stay))?;
    println!(
        "30 s later: {} s left, {} lines in the log",
        seen.remaining,
        lines(&path)?
    );

    // The process ends, and with it the only handle on the log.
    bench.ports.store = Arc::new(MemoryStore::new());
    let mut torn = OpenOptions::new().append(true).open(&path)?;
    torn.write_all(b"0123456789abcdef {\"c")?;
    println!("a crash leaves 20 bytes of another line");
    let store = LogStore::open(&path)?;
    let cut_off = store.cut_off_bytes();
    bench.ports.store = Arc::new(store);
    let left = ready(credits(&bench.ports, alice))??.remaining;
    println!("opened again: {cut_off} bytes cut off, {left} s left");

    bench.clock.advance(Seconds::new(45));
    let left = run(&bench, &LeaveRoom(stay))?;
    println!(
        "alice leaves after 75 s: charged {} s, {} s left, {} lines in the log",
        left.charged,
        left.remaining,
        lines(&path)?
    );
    Ok(())
}

fn lines(path: &Path) -> Result<usize, Failure> {
    Ok(std::fs::read_to_string(path)?.lines().count())
}

/// Executes a command; a refusal is a failure of this program.
fn run<C: Command>(bench: &Bench, command: &C) -> Result<C::Reply, Failure> {
    let result = ready(execute(&bench.ports, command))??;
    result.map_err(|refusal| format!("{command:?} was refused: {refusal:?}").into())
}

/// The value of a future that never waits: nothing here does, so no runtime is needed.
fn ready<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("a port waited".into()),
    }
}
