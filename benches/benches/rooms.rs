//! What the rules of rooms cost: deciding on rows that are there, and the same with reading and
//! writing them in memory.
//!
//! `decide` is the rule alone. `memory` is the whole command through `execute`, on a store that is
//! [`apply`](session_core::changeset::apply) and nothing else: what of it is not `decide` is
//! reading, checking and writing rows.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use session_core::policy::Policy;
use session_core::ports::Fresh;
use session_core::room::{CreateRoom, Heartbeat, JoinRoom, StayName, Visibility};
use session_core::service::{Answers, Command, Context, Ports, execute};
use session_core::types::{RoomId, Seconds};
use session_testkit::bench::Bench;
use tokio::runtime::{Builder, Runtime};

type Failure = Box<dyn std::error::Error>;

/// A room in which the host and three others sit, with credit for more than any run.
async fn room_of_four(bench: &Bench) -> Result<(RoomId, Vec<StayName>), Failure> {
    let ports = &bench.ports;
    let host = Bench::wallet(1);
    for number in 1..=5 {
        bench
            .endow(Bench::wallet(number), Seconds::new(1 << 40))
            .await?;
    }
    let created = execute(
        ports,
        &CreateRoom {
            wallet: host,
            visibility: Visibility::Open,
            ai_enabled: false,
        },
    )
    .await??;
    let mut stays = Vec::new();
    for number in 1..=4 {
        let wallet = Bench::wallet(number);
        let room = Some(created.room);
        let joined = execute(ports, &JoinRoom { wallet, room }).await??;
        stays.push(StayName {
            wallet,
            room,
            connection: Some(joined.connection),
        });
    }
    bench.pass(Seconds::new(10)).await?;
    Ok((created.room, stays))
}

/// The rule of one command, on what it reads now.
fn decide<C: Command>(
    c: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    (ports, command): (&Ports, &C),
) -> Result<(), Failure> {
    let policy = Policy::default();
    let fresh = Fresh::draw(&*ports.entropy)?;
    let cx = Context {
        now: ports.clock.now(),
        alive_since: None,
        policy: &policy,
        fresh: &fresh,
    };
    let view = runtime.block_on(command.load(ports, &cx))?;
    let answers = Answers::default();
    c.benchmark_group("decide").bench_function(name, |b| {
        b.iter(|| command.decide(black_box(&view), &cx, &answers))
    });
    Ok(())
}

fn rooms(c: &mut Criterion) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().build()?;
    let (bench, _) = Bench::in_memory(1);
    let ports = &bench.ports;
    let (room, stays) = runtime.block_on(room_of_four(&bench))?;
    let heartbeat = Heartbeat(*stays.first().ok_or("nobody is in the room")?);
    let join = JoinRoom {
        wallet: Bench::wallet(5),
        room: Some(room),
    };
    decide(c, &runtime, "heartbeat", (ports, &heartbeat))?;
    decide(c, &runtime, "join", (ports, &join))?;

    let mut group = c.benchmark_group("memory");
    group.bench_function("heartbeat", |b| {
        // Each owes a second, in which a server was alive.
        b.iter_batched(
            || runtime.block_on(bench.pass(Seconds::new(1))),
            |_| runtime.block_on(execute(ports, &heartbeat)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    Ok(())
}

/// Everything; a failure to prepare is a failure of the run.
fn all(c: &mut Criterion) {
    if let Err(why) = rooms(c) {
        panic!("not measured: {why}");
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
