//! Heartbeats over HTTP, cheap enough to share two processors with the server and the database:
//! one thread, requests made beforehand, and of an answer only what counts is read.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::Failure;
use crate::report::Latencies;
use crate::seats::CREDITS;

/// Longest answer that is understood.
const ANSWER_BYTES_MAX: usize = 4096;

/// How long to load, and how long before that not to count.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "both parts make a span")]
pub struct Span {
    /// Not counted.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
}

/// The ends of the span that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a span has two ends")]
pub enum Edge {
    /// Counting begins.
    From,
    /// Counting has ended.
    To,
}

/// What to send, and in which order.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "both parts are needed")]
pub struct Script {
    /// The request of each seat.
    pub requests: Vec<Box<[u8]>>,
    /// Seats in the order of visits.
    pub order: Vec<u32>,
}

/// What a load saw while it counted.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Seen {
    /// How long each beat took that found a second owed.
    pub latencies: Latencies,
    /// Beats that found nothing owed.
    pub idle: u64,
    /// Answers that were no heartbeat's.
    pub refused: u64,
}

#[derive(Debug)]
struct Shared {
    script: Rc<Script>,
    next: Cell<usize>,
    remaining: RefCell<Vec<u64>>,
    seen: RefCell<Seen>,
    from: Instant,
    to: Instant,
}

/// Visits the seats in turn over so many connections. `at` is told when counting begins and ends.
///
/// # Errors
/// Where a connection fails, or an answer is none of HTTP.
pub async fn beat(
    address: SocketAddr,
    connections: usize,
    script: Rc<Script>,
    span: Span,
    mut at: impl AsyncFnMut(Edge) -> Result<(), Failure>,
) -> Result<Seen, Failure> {
    let from = Instant::now() + span.warm_up;
    let remaining = RefCell::new(vec![CREDITS; script.requests.len()]);
    let shared = Rc::new(Shared {
        script,
        next: Cell::new(0),
        remaining,
        seen: RefCell::default(),
        from,
        to: from + span.measured,
    });
    let local = LocalSet::new();
    let clients: Vec<_> = (0..connections)
        .map(|_| local.spawn_local(client(address, shared.clone())))
        .collect();
    local
        .run_until(async {
            tokio::time::sleep_until(shared.from.into()).await;
            at(Edge::From).await?;
            tokio::time::sleep_until(shared.to.into()).await;
            at(Edge::To).await?;
            for client in clients {
                client.await??;
            }
            Ok::<_, Failure>(())
        })
        .await?;
    let shared = Rc::into_inner(shared).ok_or("a client is still there")?;
    Ok(shared.seen.into_inner())
}

async fn client(address: SocketAddr, shared: Rc<Shared>) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    loop {
        let place = shared.next.get();
        shared.next.set((place + 1) % shared.script.order.len());
        let seat = usize::try_from(shared.script.order.get(place).copied().unwrap_or(0))?;
        let request = shared.script.requests.get(seat).ok_or("no such seat")?;
        let asked = Instant::now();
        stream.write_all(request).await?;
        let body = receive(&mut stream, &mut answer).await?;
        let told = Instant::now();
        if told >= shared.to {
            return Ok(());
        }
        let left = if answer.starts_with(b"HTTP/1.1 200") {
            answer.get(body..).and_then(remaining)
        } else {
            None
        };
        shared.count(seat, left, told.duration_since(asked), told >= shared.from);
        if left.is_none() && shared.seen.borrow().refused == 1 {
            eprintln!("refused: {}", String::from_utf8_lossy(&answer));
        }
    }
}

impl Shared {
    fn count(&self, seat: usize, left: Option<u64>, took: Duration, counts: bool) {
        let mut seen = self.seen.borrow_mut();
        let Some(left) = left else {
            seen.refused += 1;
            return;
        };
        let mut remaining = self.remaining.borrow_mut();
        let Some(before) = remaining.get_mut(seat) else {
            return;
        };
        let is_charged = left < *before;
        *before = left;
        match (counts, is_charged) {
            (true, true) => seen.latencies.add(took),
            (true, false) => seen.idle += 1,
            (false, _) => {}
        }
    }
}

/// Reads one answer. Where its body begins.
async fn receive(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<usize, Failure> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err("the server closed a connection".into());
        }
        if let Some(head) = position(answer, b"\r\n\r\n") {
            let body = head + 4;
            let length = answer
                .get(..head)
                .and_then(|head| number_after(head, b"content-length: "))
                .ok_or("an answer without a length")?;
            if answer.len() >= body + usize::try_from(length)? {
                return Ok(body);
            }
        }
        if answer.len() >= ANSWER_BYTES_MAX {
            return Err("too long an answer".into());
        }
    }
}

fn remaining(body: &[u8]) -> Option<u64> {
    number_after(body, br#""remaining_seconds":"#)
}

fn number_after(text: &[u8], name: &[u8]) -> Option<u64> {
    let rest = text.get(position(text, name)? + name.len()..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number: Option<u64>, digit| {
        Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0'))
    })
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}
