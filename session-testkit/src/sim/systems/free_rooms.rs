//! Free rooms: sign-in, credits, and stays that cost seconds.

use std::sync::Arc;

use session_core::auth::{IssueNonce, NonceIssued, SignIn};
use session_core::changeset::{Row, World};
use session_core::crypto::{LocalSigner, eip191, sha256};
use session_core::idempotency::Once;
use session_core::ledger::{CreditRefusal, VerifyCelo, VerifyCeloReply};
use session_core::media::Ttl;
use session_core::policy::Policy;
use session_core::room::{
    CreateRoom, Heartbeat, HeartbeatReply, JoinRoom, Joined, LeaveRoom, Left, Renew, RenewReply,
    RoomCreated, RoomRefusal, StayName, Visibility,
};
use session_core::service::{ExecuteError, Ports, active_rooms, credits};
use session_core::types::{ConnectionId, RoomId, Seconds, Wallet};

use super::once;
use crate::sim::invariants::{Invariant, of_free_rooms};
use crate::sim::{Ask, Asked, Asking, Choices, Reply, Request, Scenery, Stage, System};

/// Clients of free rooms.
#[derive(Debug, Default)]
pub struct FreeRooms {
    clients: Vec<Client>,
    rooms: Vec<RoomId>,
    keys: u64,
}

/// What a client knows: what it heard.
#[derive(Debug)]
struct Client {
    signer: LocalSigner,
    wallet: Wallet,
    nonces: Vec<String>,
    hosted: Option<RoomId>,
    stay: Option<StayName>,
    past: Option<StayName>,
}

impl FreeRooms {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

const POINTS: &[&str] = &[
    "a block was sealed",
    "a bonus was asked for twice",
    "a client was told of little credit",
    "a full block was sealed",
    "a host left and closed the room",
    "a key was used for two requests",
    "a leave came after the end",
    "a lease was denied",
    "a nonce was used up",
    "a room was full",
    "a room was gone",
    "a wallet had no name",
    "a wallet had too little credit",
    "a wallet hosted already",
    "a wallet sat already",
    "a wallet signed in",
    "a wallet was not verified",
    "entries waited for more than a minute",
    "the last guest closed the room",
    "two sealers met: one was refused",
];

impl System for FreeRooms {
    fn name(&self) -> &'static str {
        "free-rooms"
    }

    fn set_up(&mut self, choices: &mut Choices, scenery: &mut Scenery) {
        let clients = 3 + choices.below(6);
        for n in 0..clients {
            let Ok(signer) = LocalSigner::from_bytes(&sha256(&n.to_be_bytes())) else {
                continue;
            };
            let wallet = signer.wallet();
            match choices.weighted(&[5, 3, 2, 1]) {
                0 => scenery.credit_seconds.push((wallet, 1_800)),
                // Nearly spent, so that it runs out.
                1 => scenery
                    .credit_seconds
                    .push((wallet, choices.between(60, 240))),
                2 => scenery.named.push(wallet),
                _ => {}
            }
            if choices.chance(300) {
                scenery.verified.push(wallet);
            }
            self.clients.push(Client {
                signer,
                wallet,
                nonces: Vec::new(),
                hosted: None,
                stay: None,
                past: None,
            });
        }
        draw_policy(choices, &mut scenery.policy);
    }

    fn next(&mut self, stage: &mut Stage<'_>) -> Option<Request> {
        let place = stage.choices.below(self.clients.len());
        let ask = self.ask(place, stage)?;
        let client = self.clients.get(place)?;
        let once = if ask.name().starts_with("query") || ask.name().starts_with("auth") {
            None
        } else {
            once(stage.choices, &mut self.keys, client.wallet, &*ask)
        };
        Some(Request {
            client: place,
            ask,
            once,
        })
    }

    fn heard(&mut self, request: &Request, reply: &Reply, stage: &mut Stage<'_>) {
        let Some(client) = self.clients.get_mut(request.client) else {
            return;
        };
        if matches!(reply, Reply::Failed(ExecuteError::IdempotencyMismatch)) {
            stage.reach("a key was used for two requests");
        }
        let refusal = reply.refused::<RoomRefusal>();
        match request.ask.name() {
            "auth.nonce" => {
                client
                    .nonces
                    .extend(reply.granted::<NonceIssued>().map(|issued| issued.nonce));
            }
            "auth.verify" => stage.reach(match reply {
                Reply::Granted(_) => "a wallet signed in",
                Reply::Failed(_) | Reply::Refused(_) => "a nonce was used up",
            }),
            "credits.verify" => match reply.granted::<VerifyCeloReply>() {
                Some(VerifyCeloReply { granted: false, .. }) => {
                    stage.reach("a bonus was asked for twice");
                }
                None if matches!(reply, Reply::Refused(_)) => {
                    stage.reach("a wallet was not verified");
                }
                Some(_) | None => {}
            },
            "rooms.create" => {
                if let Some(created) = reply.granted::<RoomCreated>() {
                    client.hosted = Some(created.room);
                    self.rooms.push(created.room);
                }
            }
            "rooms.join" => {
                if refusal == Some(RoomRefusal::RoomNotFound) {
                    client.hosted = None;
                }
                if let Some(joined) = reply.granted::<Joined>() {
                    client.stay = Some(StayName {
                        wallet: client.wallet,
                        room: Some(joined.room),
                        connection: Some(joined.connection),
                    });
                }
            }
            _ => client.heard_of_stay(request, reply, refusal, stage),
        }
        if let Some(refusal) = refusal {
            stage.reach(match refusal {
                RoomRefusal::AlreadyHosting => "a wallet hosted already",
                RoomRefusal::AlreadyInRoom => "a wallet sat already",
                RoomRefusal::Credit(CreditRefusal::NameRequired) => "a wallet had no name",
                RoomRefusal::Credit(CreditRefusal::TooLittle { .. }) => {
                    "a wallet had too little credit"
                }
                RoomRefusal::NotYourConnection => "a leave came after the end",
                RoomRefusal::RoomFull => "a room was full",
                RoomRefusal::RoomNotFound => "a room was gone",
            });
        }
    }

    fn invariants(&self) -> Vec<Box<dyn Invariant>> {
        of_free_rooms()
    }

    fn unresolved(&self, world: &World) -> Vec<String> {
        let left = world.rows().filter_map(|(key, _, row)| match row {
            Row::Intent(intent) if !intent.is_settled() => Some(format!("{key} is not settled")),
            Row::Room(room) if room.unjoined_until.is_some() => Some(format!("{key} is unjoined")),
            Row::Seat(seat) if seat.is_live() => Some(format!("{key} is live")),
            _ => None,
        });
        left.collect()
    }

    fn points(&self) -> &'static [&'static str] {
        POINTS
    }
}

impl FreeRooms {
    fn ask(&self, place: usize, stage: &mut Stage<'_>) -> Option<Arc<dyn Ask>> {
        let client = self.clients.get(place)?;
        let wallet = client.wallet;
        let choices = &mut *stage.choices;
        if let Some(stay) = client.stay {
            return Some(match choices.weighted(&[14, 8, 4, 2, 1, 1, 1]) {
                0 => asked("rooms.heartbeat", Heartbeat(stay)),
                1 => asked("rooms.renew", Renew(stay)),
                2 => asked("rooms.leave", LeaveRoom(stay)),
                3 => self.join(client, choices),
                4 => create(wallet, choices),
                5 => Arc::new(Query(Some(wallet))),
                _ => asked("credits.verify", VerifyCelo { wallet }),
            });
        }
        Some(match choices.weighted(&[10, 5, 2, 1, 1, 1, 1, 1]) {
            0 => self.join(client, choices),
            1 => create(wallet, choices),
            2 => asked("credits.verify", VerifyCelo { wallet }),
            3 => Arc::new(Query(Some(wallet))),
            4 => Arc::new(Query(None)),
            5 => asked("auth.nonce", IssueNonce { wallet }),
            6 => sign_in(client, choices),
            _ => stale(client, choices),
        })
    }

    fn join(&self, client: &Client, choices: &mut Choices) -> Arc<dyn Ask> {
        let room = match (client.hosted, choices.weighted(&[30, 15, 1])) {
            (Some(hosted), 0) => Some(hosted),
            (_, 2) => None,
            // Rooms of late are open more often than old ones.
            _ => {
                let late = self.rooms.len().saturating_sub(4);
                choices.pick(&self.rooms[late..]).copied().or(client.hosted)
            }
        };
        let wallet = client.wallet;
        asked("rooms.join", JoinRoom { wallet, room })
    }
}

impl Client {
    fn heard_of_stay(
        &mut self,
        request: &Request,
        reply: &Reply,
        refusal: Option<RoomRefusal>,
        stage: &mut Stage<'_>,
    ) {
        let name = request.ask.name();
        match name {
            "rooms.leave" => {
                if let Some(left) = reply.granted::<Left>() {
                    self.past = self.stay.take();
                    let hosted = self.past.and_then(|stay| stay.room) == self.hosted;
                    match (left.closed, hosted) {
                        (true, true) => stage.reach("a host left and closed the room"),
                        (true, false) => stage.reach("the last guest closed the room"),
                        (false, _) => {}
                    }
                }
            }
            "rooms.renew" => {
                if let Some(RenewReply::Denied { .. }) = reply.granted() {
                    stage.reach("a lease was denied");
                }
            }
            "rooms.heartbeat" => {
                let told = reply.granted::<HeartbeatReply>();
                if told.is_some_and(|told| !told.thresholds.is_empty()) {
                    stage.reach("a client was told of little credit");
                }
            }
            _ => {}
        }
        // Of an earlier stay this may be a late answer, but then the client only asks again.
        if refusal == Some(RoomRefusal::NotYourConnection) && self.stay.is_some() {
            self.past = self.stay.take();
        }
    }
}

/// The numbers of a run: most often the recorded ones.
fn draw_policy(choices: &mut Choices, policy: &mut Policy) {
    let rooms = &mut policy.rooms;
    rooms.capacity = [6, 3, 2, 1][choices.weighted(&[2, 2, 2, 1])];
    rooms.remove_from_channel = choices.weighted(&[1, 1]) == 1;
    if choices.chance(300) {
        rooms.unjoined_max_seconds = Seconds::new(25);
    }
    if choices.chance(400) {
        rooms.exhausted_max_seconds = Seconds::new(15);
    }
    if choices.chance(300)
        && let Ok(lease) = Ttl::new(Seconds::new(40))
    {
        // The least credit pays for a lease.
        (rooms.lease, rooms.credit_min_seconds) = (lease, Seconds::new(40));
        rooms.silence_max_seconds = Seconds::new(40);
        rooms.check_after_seconds = Seconds::new(10);
    }
    if choices.chance(300) {
        policy.credits.base_grant = Seconds::new(150);
        policy.credits.bonus_grant = Seconds::new(100);
    }
    if choices.chance(300) {
        policy.auth.nonce_seconds = Seconds::new(20);
        policy.auth.nonces_per_wallet_max = 2;
    }
}

fn asked<C>(name: &'static str, command: C) -> Arc<dyn Ask>
where
    Asked<C>: Ask + 'static,
{
    Arc::new(Asked { name, command })
}

fn create(wallet: Wallet, choices: &mut Choices) -> Arc<dyn Ask> {
    let visibility = if choices.chance(300) {
        Visibility::Private
    } else {
        Visibility::Open
    };
    let command = CreateRoom {
        wallet,
        visibility,
        ai_enabled: false,
    };
    asked("rooms.create", command)
}

fn sign_in(client: &Client, choices: &mut Choices) -> Arc<dyn Ask> {
    let wallet = client.wallet;
    let Some(nonce) = choices.pick(&client.nonces).cloned() else {
        return asked("auth.nonce", IssueNonce { wallet });
    };
    let signature = client
        .signer
        .sign_prehash(&eip191::digest(nonce.as_bytes()));
    let command = SignIn {
        wallet,
        nonce,
        signature: Some(signature),
    };
    asked("auth.verify", command)
}

/// A call on a stay that is over, or that never was.
fn stale(client: &Client, choices: &mut Choices) -> Arc<dyn Ask> {
    let never = StayName {
        wallet: client.wallet,
        room: client.hosted,
        connection: Some(ConnectionId::from_random([7; 16])),
    };
    let stay = client.past.unwrap_or(never);
    match choices.below(3) {
        0 => asked("rooms.heartbeat", Heartbeat(stay)),
        1 => asked("rooms.renew", Renew(stay)),
        _ => asked("rooms.leave", LeaveRoom(stay)),
    }
}

/// The credits of a wallet, or the public list.
#[derive(Debug)]
struct Query(Option<Wallet>);

impl Ask for Query {
    fn name(&self) -> &'static str {
        if self.0.is_some() {
            "query.credits"
        } else {
            "query.rooms"
        }
    }

    fn run(&self, ports: Ports, _: Option<Once>) -> Asking {
        let wallet = self.0;
        Box::pin(async move {
            match wallet {
                Some(wallet) => {
                    let found = credits(&ports, wallet).await.map_err(ExecuteError::from);
                    Reply::of(&found.map(Ok::<_, ()>))
                }
                None => {
                    let found = active_rooms(&ports).await.map_err(ExecuteError::from);
                    Reply::of(&found.map(Ok::<_, ()>))
                }
            }
        })
    }
}
