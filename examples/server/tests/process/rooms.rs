//! Two wallets in a free room.

use std::ops::RangeInclusive;

use serde_json::json;

use crate::client::{Client, MediaToken, SignAs, number, text};
use crate::clock::{pass_seconds, unix_now};
use crate::outages::service_row;
use crate::server::{APP_CERTIFICATE, APP_ID, Server};

/// What everybody is granted in development.
const GRANTED_SECONDS: u64 = 1800;

/// A stay as its client knows it.
pub(crate) struct Stay {
    pub(crate) wallet: String,
    pub(crate) room: String,
    pub(crate) connection: String,
    pub(crate) uid: u64,
    pub(crate) token: MediaToken,
}

impl Stay {
    /// Joins a room and looks closely at the answer.
    pub(crate) fn join(client: &mut Client, wallet: &str, room: &str) -> Self {
        let joined = client.granted(wallet, "/rooms/join", &json!({"room_id": room}));
        assert_eq!(
            number(&joined, "remaining_seconds"),
            GRANTED_SECONDS,
            "joining costs nothing"
        );
        let token = client.decode(&text(&joined, "agora_token"));
        let stay = Self {
            wallet: wallet.to_owned(),
            room: room.to_owned(),
            connection: text(&joined, "connection_id"),
            uid: number(&joined, "agora_uid"),
            token,
        };
        stay.check(&stay.token, number(&joined, "token_expires_in_seconds"));
        assert_eq!(stay.token.channel, text(&joined, "channel"));
        stay
    }

    /// Asks for another token: the token, and the credit left.
    pub(crate) fn renew(&self, client: &mut Client) -> (MediaToken, u64) {
        let renewed = client.granted(&self.wallet, "/rooms/token/renew", &self.names());
        let token = client.decode(&text(&renewed, "agora_token"));
        self.check(&token, number(&renewed, "token_expires_in_seconds"));
        (token, number(&renewed, "remaining_seconds"))
    }

    /// Says that the client is still there: the credit left.
    pub(crate) fn beat(&self, client: &mut Client) -> u64 {
        let answer = client.granted(&self.wallet, "/rooms/heartbeat", &self.names());
        number(&answer, "remaining_seconds")
    }

    /// Leaves: what the whole stay cost, and whether the room closed.
    ///
    /// The cost must be what the account lost, and `presence`, which says what is to be charged for
    /// a stay that ends in a given second, must allow it for a second in which it may have ended.
    pub(crate) fn leave(
        &self,
        client: &mut Client,
        presence: impl Fn(u64) -> RangeInclusive<u64>,
    ) -> (u64, bool) {
        let before = client.sign_in(&self.wallet, SignAs::Text);
        let left = client.granted(&self.wallet, "/rooms/leave", &self.names());
        let after = client.sign_in(&self.wallet, SignAs::Text);
        let charged = number(&left, "debited_seconds");
        let allowed = *presence(before).start()..=*presence(after).end();
        assert!(
            allowed.contains(&charged),
            "charged {charged} for {allowed:?} of presence"
        );

        let credits = client.credits(&self.wallet);
        assert_eq!(number(&credits, "consumed_seconds"), charged);
        assert_eq!(
            number(&credits, "remaining_seconds"),
            GRANTED_SECONDS - charged
        );
        assert_eq!(
            number(&left, "remaining_seconds"),
            GRANTED_SECONDS - charged
        );
        let (status, refused) = client.call(&self.wallet, "/rooms/heartbeat", &self.names());
        assert_eq!(
            (status, &refused["error"]),
            (403, &json!("not_your_connection"))
        );
        (charged, left["closed"] == true)
    }

    /// The body that names the stay.
    fn names(&self) -> serde_json::Value {
        json!({"room_id": self.room, "connection_id": self.connection})
    }

    /// A token ends exactly when the answer says, lets in this stay's wallet under its own number,
    /// and nobody under none.
    fn check(&self, token: &MediaToken, expires_in: u64) {
        assert_eq!(expires_in, 90);
        assert_eq!(token.expire, expires_in);
        assert_eq!(
            token.privileges,
            [1, 2, 3, 4].map(|privilege| (privilege, expires_in))
        );
        assert_ne!(self.uid, 0);
        assert_eq!(token.uid, self.uid.to_string());
        assert_eq!(token.channel, format!("heaven-free-{}", self.room));
    }
}

/// The settings under which tokens can be verified.
pub(crate) const MEDIA: [(&str, &str); 2] = [
    ("AGORA_APP_ID", APP_ID),
    ("AGORA_APP_CERTIFICATE", APP_CERTIFICATE),
];

/// A new room of a wallet.
pub(crate) fn create(client: &mut Client, host: &str) -> String {
    let created = client.granted(host, "/rooms/create", &json!({"visibility": "open"}));
    text(&created, "room_id")
}

/// The last 4 bytes of an address, as a number.
fn uid_of(wallet: &str) -> u64 {
    u64::from_str_radix(&wallet[wallet.len() - 8..], 16).expect("hex digits")
}

#[test]
fn two_wallets_pay_for_their_presence_to_the_second() {
    let Some(mut client) = Client::start() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), &MEDIA);
    client.talk_to(&server);

    let (host, _) = client.sign_in_new(SignAs::Text);
    let (guest, _) = client.sign_in_new(SignAs::Raw);
    let room = create(&mut client, &host);
    let stays = [&host, &guest].map(|wallet| Stay::join(&mut client, wallet, &room));
    for stay in &stays {
        // The rule gives 0 for two wallets in 2^32; any other number will do for those.
        let expected = uid_of(&stay.wallet) % u64::from(u32::MAX);
        assert!(
            stay.uid == expected || expected == 0,
            "{} has uid {}",
            stay.wallet,
            stay.uid
        );
    }

    // Beats in between move the instant up to which is charged, never what is charged in the end.
    for _ in 0..3 {
        pass_seconds(1, &server);
        for stay in &stays {
            let remaining = stay.beat(&mut client);
            let most = unix_now() - stay.token.issue_ts;
            assert!(
                GRANTED_SECONDS - remaining <= most,
                "more than {most} s charged"
            );
        }
    }
    // A machine that stalled for seconds had an outage, which is not charged.
    let stalled = |from: u64| -> u64 {
        let outages = service_row(folder.path()).outages;
        outages
            .iter()
            .map(|span| span.to.unix() - span.from.unix().max(from))
            .sum()
    };
    for stay in &stays {
        let (token, remaining) = stay.renew(&mut client);
        let present = token.issue_ts - stay.token.issue_ts;
        assert!(present >= 3, "three seconds passed, {present} were seen");
        let allowed = present.saturating_sub(stalled(stay.token.issue_ts))..=present;
        let charged = GRANTED_SECONDS - remaining;
        assert!(
            allowed.contains(&charged),
            "charged {charged} for {allowed:?} of presence"
        );
    }

    let [host, guest] = &stays;
    let presence = |stay: &Stay, at: u64| {
        let present = at - stay.token.issue_ts;
        present.saturating_sub(stalled(stay.token.issue_ts))..=present
    };
    let (_, closed) = guest.leave(&mut client, |at| presence(guest, at));
    assert!(!closed, "the host is still in");
    let (_, closed) = host.leave(&mut client, |at| presence(host, at));
    assert!(closed, "the host's leaving closes the room");
    assert_eq!(server.get("/rooms/active").body, r#"{"rooms":[]}"#);
}
