//! Evidence: what parties say of a session, by reference. It changes no outcome.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::view::{Missing, SessionView};
use super::{AttachedEvidence, BookingRefusal, EVIDENCE_MAX, EvidenceSource};
use crate::attestation::Evidence;
use crate::changeset::{Draft, Fact};
use crate::escrow::{BookingKey, Side};
use crate::ports::StoreError;
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{EvidenceId, Wallet, decode_hex};

/// The longest reference, in bytes.
pub const EVIDENCE_URI_BYTES_MAX: usize = 2048;

/// Why evidence is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "adapters map every refusal")]
pub enum EvidenceRefusal {
    /// As for every command on a booking.
    #[error(transparent)]
    Booking(#[from] BookingRefusal),
    /// What was decided on stays as it is.
    #[error("the outcome is decided")]
    Decided,
    /// The reference is none, or too long.
    #[error("not a URI of at most {EVIDENCE_URI_BYTES_MAX} bytes")]
    Uri,
    /// The booking has as many as it takes.
    #[error("a booking takes {EVIDENCE_MAX} pieces of evidence")]
    TooMany,
}

/// Somebody attaches evidence to a booking.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these three are the request")]
pub struct AttachEvidence {
    /// Which booking.
    pub key: BookingKey,
    /// Who; `None` for the service itself.
    pub wallet: Option<Wallet>,
    /// What.
    pub evidence: Evidence,
}

impl AttachEvidence {
    /// The same evidence of the same booking has one identifier.
    fn id(&self) -> EvidenceId {
        let Self { key, evidence, .. } = self;
        let key: String = (*key).into();
        EvidenceId::derive(
            "evidence 1",
            &[
                key.as_bytes(),
                evidence.kind.name().as_bytes(),
                &evidence.hash.to_bytes(),
                evidence.uri.as_bytes(),
            ],
        )
    }
}

/// What evidence may be reached by. Pages show references, and a page that opens `javascript:` is
/// somebody else's.
const SCHEMES: [&str; 9] = [
    "https", "http", "ipfs", "ipns", "ar", "s3", "gs", "magnet", "urn",
];

/// Whether a text is a reference: a scheme, a colon and visible ASCII (RFC 3986 writes everything
/// else in percent signs). It is never fetched here.
fn is_reference(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    let mut escapes = rest.split('%').skip(1);
    uri.len() <= EVIDENCE_URI_BYTES_MAX
        && SCHEMES.contains(&scheme)
        && !rest.is_empty()
        && rest.bytes().all(is_plain)
        && escapes.all(|after| after.get(..2).is_some_and(|pair| decode_hex(pair).is_ok()))
}

impl Command for AttachEvidence {
    type View = SessionView;
    type Reply = EvidenceId;
    type Refusal = EvidenceRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        SessionView::load(ports, &self.key).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let refused = |refusal| Verdict::Done(Decision::refused(Draft::new(), refusal));
        if !is_reference(&self.evidence.uri) {
            return refused(EvidenceRefusal::Uri);
        }
        let found = match self.wallet {
            None => view
                .known(self.key, cx, answers)
                .map(|session| (session, EvidenceSource::Service)),
            Some(wallet) => view
                .own(self.key, wallet, cx, answers)
                .map(|(session, party)| {
                    let by = match party {
                        Side::Host => EvidenceSource::Host,
                        Side::Guest => EvidenceSource::Guest,
                    };
                    (session, by)
                }),
        };
        let (mut session, by) = match found {
            Ok(found) => found,
            Err(Missing::Question(question)) => return Verdict::Need(question),
            Err(Missing::Refusal(refusal)) => return refused(refusal.into()),
        };
        let id = self.id();
        if session.evidence.iter().any(|attached| attached.id == id) {
            return Verdict::Done(Decision::granted(Draft::new(), id));
        }
        if session.decision.is_some() || session.settlement.is_terminal() {
            return refused(EvidenceRefusal::Decided);
        }
        if session.evidence.len() >= EVIDENCE_MAX {
            return refused(EvidenceRefusal::TooMany);
        }
        let at = view.now(cx);
        session.evidence.push(AttachedEvidence {
            id,
            evidence: self.evidence.clone(),
            by,
            at,
        });
        session.watch(at, &cx.policy.bookings);
        let mut draft = Draft::new();
        draft.journal(
            at,
            Fact::EvidenceAttached {
                booking: self.key,
                evidence: id,
                by,
            },
        );
        draft.update(&view.row, session);
        Verdict::Done(Decision::granted(draft, id))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::super::TrackBooking;
    use super::super::testing::{HOST, answers, at, key, reading};
    use super::*;
    use crate::attestation::EvidenceKind;
    use crate::changeset::{Changeset, Key, Loaded, Row, Write};
    use crate::escrow::BookingStatus;
    use crate::policy::Policy;
    use crate::room::testing::cx;
    use crate::types::{Timestamp, Word};

    fn decided<C: Command<View = SessionView>>(command: &C, now: u64) -> Changeset {
        let policy = Policy::default();
        let cx = cx(&policy, now);
        let view = SessionView {
            row: Loaded::absent(Key::BookedSession(key())),
            service: None,
        };
        let answers = answers(reading(now, BookingStatus::Booked));
        match command.decide(&view, &cx, &answers) {
            Verdict::Done(decision) => decision.changeset,
            Verdict::Need(question) => panic!("{question:?} was answered"),
        }
    }

    fn look_at(changeset: &Changeset) -> Option<Timestamp> {
        changeset.rows.iter().find_map(|write| match write {
            Write::Insert(Row::BookedSession(session)) => session.look_at,
            _ => None,
        })
    }

    #[test]
    fn a_booking_that_only_evidence_puts_on_record_is_looked_at_when_it_is_due() {
        let evidence = Evidence {
            kind: EvidenceKind::Recording,
            hash: Word::ZERO,
            uri: "ipfs:bafy".to_string(),
        };
        // The session ends at 11,800, and whoever is absent is a minute later.
        for (now, due) in [(0, 11_860), (20_000, 20_000)] {
            for wallet in [None, Some(HOST)] {
                let attach = AttachEvidence {
                    key: key(),
                    wallet,
                    evidence: evidence.clone(),
                };
                assert_eq!(look_at(&decided(&attach, now)), Some(at(due)));
            }
            let track = TrackBooking { key: key() };
            assert_eq!(look_at(&decided(&track, now)), Some(at(due)));
        }
    }

    #[test]
    fn a_reference_has_a_scheme_and_plain_characters() {
        for uri in ["https://a.example/x?y=1#z", "ipfs:bafy", "s3://b/%C3%A9"] {
            assert!(is_reference(uri), "{uri}");
        }
        let long = alloc::format!("https:{}", "a".repeat(EVIDENCE_URI_BYTES_MAX));
        for uri in [
            "",
            "x",
            "https:",
            ":x",
            "1a:x",
            "javascript:alert(1)",
            "https:%zz",
            "https:%4",
            "a b:x",
            "a:x y",
            "a:\n",
            "a:é",
            "a:<b>",
            &long,
        ] {
            assert!(!is_reference(uri), "{uri}");
        }
    }
}
