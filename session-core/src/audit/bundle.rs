//! Bundles: what the journal tells of one room, so that anybody can check it without the server.
//!
//! A bundle holds the blocks from the first to the last that tell of the room. Of blocks between
//! them only what their hash is made of; of blocks that tell of the room the digests of all
//! entries, and the entries that are about the room in full. So it shows that these entries are in
//! the chain, at their places. What else happened it does not show; but whoever can guess all of
//! another entry, to the second, finds its digest there.
//!
//! What a bundle cannot show is that no other entry is about the room. But what a stay was charged
//! in all is told at its end, and must be the sum of the charges that are shown.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::changeset::Fact;
use crate::crypto::jcs::canonical_json;
use crate::crypto::{LocalSigner, eip191};
use crate::journal::{BlockNumber, Entry, Sealing};
use crate::ledger::{AccountKey, AccountKind, Owner, Reason, Reference, Transfer};
use crate::room::{Closing, Departure};
use crate::types::{
    ChainId, ConnectionId, EntryId, RoomId, Seconds, Timestamp, Unit, Wallet, decode_hex_array,
    encode_hex,
};

/// The form of bundles that this reads and writes.
pub const BUNDLE_FORM: &str = "session room bundle 1";

/// What the journal tells of one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is written down")]
pub struct Bundle {
    /// [`BUNDLE_FORM`].
    pub form: String,
    /// The chain that the blocks are of.
    pub chain: ChainId,
    /// The room.
    pub room: RoomId,
    /// Blocks without a gap, in their order.
    pub blocks: Vec<BundleBlock>,
    /// Entries about the room that are in no block yet, and so not in here.
    pub unsealed: u64,
}

/// A block, as far as a bundle shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is written down")]
pub struct BundleBlock {
    /// The place in the chain.
    pub number: BlockNumber,
    /// The hash of the block before, as hex digits.
    pub previous: String,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// How many entries it holds.
    pub entries: u64,
    /// The digest of their digests, as hex digits.
    pub root: String,
    /// The hash of all of the above and of the chain, as hex digits.
    pub hash: String,
    /// The digests of its entries in their order, as hex digits; none where it tells nothing of
    /// the room.
    pub digests: Vec<String>,
    /// The entries that are about the room, each with its place in the block, from 0.
    pub shown: Vec<(u64, Entry)>,
}

/// A bundle, and whose word it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is written down")]
pub struct SignedBundle {
    /// What was signed, as canonical JSON.
    pub bundle: Bundle,
    /// Who signed it.
    pub signer: Wallet,
    /// A personal message (EIP-191): `0x` and 130 hex digits.
    pub signature: String,
}

/// Why a bundle proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A block does not fit to itself or to the one before.
    #[error("block {0}: {1}")]
    Block(BlockNumber, &'static str),
    /// An entry does not fit to its block, to the room or to the entries before.
    #[error("entry {0}: {1}")]
    Entry(EntryId, &'static str),
    /// It is of another form.
    #[error("not a bundle of the form \"{BUNDLE_FORM}\"")]
    Form,
    /// Nothing of the room is in a block.
    #[error("nothing of the room is sealed")]
    Nothing,
    /// What is told of a stay does not fit together.
    #[error("stay {0} {1}")]
    Stay(ConnectionId, &'static str),
    /// The signer that it names did not sign it, or is not the one that was expected.
    #[error("not signed by {0}")]
    Signature(Wallet),
}

/// What a bundle proves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Story {
    /// When the room was created, and by whom.
    pub created: Option<(Timestamp, Wallet)>,
    /// When and why it closed.
    pub closed: Option<(Timestamp, Closing)>,
    /// Who was there.
    pub stays: BTreeMap<ConnectionId, Stay>,
    /// When no server was alive, as far as it matters to the room.
    pub outages: Vec<(Timestamp, Timestamp)>,
    /// The hash of the last block.
    pub head: [u8; 32],
}

/// One stay, as the journal tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stay {
    /// Who.
    pub wallet: Wallet,
    /// Since when.
    pub joined_at: Timestamp,
    /// When and how it ended.
    pub left: Option<(Timestamp, Departure)>,
    /// Seconds charged.
    pub charged: Seconds,
}

impl Bundle {
    /// The canonical JSON: no white space, members sorted by name.
    ///
    /// # Errors
    /// Never for a bundle that [`RoomExport`](super::RoomExport) made.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_value(self).map(|value| canonical_json(&value))
    }

    /// Signs it.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn signed(self, key: &LocalSigner) -> Result<SignedBundle, serde_json::Error> {
        let signature = key.sign_prehash(&eip191::digest(self.text()?.as_bytes()));
        Ok(SignedBundle {
            bundle: self,
            signer: key.wallet(),
            signature: signature.to_string(),
        })
    }

    /// Checks every digest, hash and link, and what the entries tell together.
    ///
    /// # Errors
    /// [`BundleError`]: the first thing that does not fit.
    pub fn verify(&self) -> Result<Story, BundleError> {
        if self.form != BUNDLE_FORM {
            return Err(BundleError::Form);
        }
        let mut telling = Telling::default();
        let mut last: Option<(BlockNumber, [u8; 32])> = None;
        for block in &self.blocks {
            let hash = block.verify(self.chain)?;
            if let Some((number, before)) = last
                && (block.number != number.next() || bytes(&block.previous) != Some(before))
            {
                return Err(BundleError::Block(block.number, "does not follow"));
            }
            last = Some((block.number, hash));
            for (_, entry) in &block.shown {
                telling.hear(entry, self.room)?;
            }
        }
        let (_, head) = last.ok_or(BundleError::Nothing)?;
        telling.finish(head)
    }
}

impl SignedBundle {
    /// Reads a text, all of which is of the form: a member that nobody knows is not in what was
    /// signed.
    ///
    /// # Errors
    /// [`BundleError::Form`].
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let value: Value = serde_json::from_str(text).map_err(|_| BundleError::Form)?;
        let written = value.get("bundle").map(canonical_json);
        let signed: Self = serde_json::from_value(value).map_err(|_| BundleError::Form)?;
        let read = signed.bundle.text().map_err(|_| BundleError::Form)?;
        if written.as_ref() == Some(&read) {
            Ok(signed)
        } else {
            Err(BundleError::Form)
        }
    }

    /// Checks the signature, then as [`Bundle::verify`]. Whether the signer is the server's is for
    /// the caller to know.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn verify(&self) -> Result<Story, BundleError> {
        let text = self.bundle.text().map_err(|_| BundleError::Form)?;
        if eip191::signer_of(&text, &self.signature) != Some(self.signer) {
            return Err(BundleError::Signature(self.signer));
        }
        self.bundle.verify()
    }
}

impl BundleBlock {
    /// The hash, where everything that is shown fits to it.
    fn verify(&self, chain: ChainId) -> Result<[u8; 32], BundleError> {
        let wrong = |why| BundleError::Block(self.number, why);
        let digest = |text: &String| bytes(text).ok_or(wrong("holds no digest"));
        let sealing = Sealing {
            chain,
            number: self.number,
            previous: digest(&self.previous)?,
            sealed_at: self.sealed_at,
            entries: self.entries,
            root: digest(&self.root)?,
        };
        let hash = sealing.hash();
        if digest(&self.hash)? != hash {
            return Err(wrong("has another hash"));
        }
        if self.shown.is_empty() && self.digests.is_empty() {
            return Ok(hash);
        }
        let digests: Vec<[u8; 32]> = self.digests.iter().map(digest).collect::<Result<_, _>>()?;
        if u64::try_from(digests.len()) != Ok(self.entries) {
            return Err(wrong("has another number of entries"));
        }
        if Sealing::root_of(&digests) != sealing.root {
            return Err(wrong("has other entries"));
        }
        let mut places = 0..;
        for (place, entry) in &self.shown {
            let wrong = |why| BundleError::Entry(entry.id, why);
            if !places.contains(place) {
                return Err(wrong("is out of order"));
            }
            places = place.saturating_add(1)..;
            let there = usize::try_from(*place).ok().and_then(|n| digests.get(n));
            if there != Some(&entry.digest()) || !entry.is_genuine() {
                return Err(wrong("is not in its block"));
            }
        }
        Ok(hash)
    }
}

/// What entries told of one stay. Those of one instant come in any order.
#[derive(Debug, Default)]
struct Told {
    joined: Option<(Timestamp, Wallet)>,
    left: Option<(Timestamp, Wallet, Departure, Seconds)>,
    charged: Seconds,
    charged_last: Timestamp,
    payers: BTreeSet<AccountKey>,
}

#[derive(Debug, Default)]
struct Telling {
    story: Story,
    stays: BTreeMap<ConnectionId, Told>,
}

impl Telling {
    fn hear(&mut self, entry: &Entry, room: RoomId) -> Result<(), BundleError> {
        let story = &mut self.story;
        let is_first = match &entry.fact {
            Fact::RoomCreated { room: of, host, .. } if *of == room => {
                story.created.replace((entry.at, *host)).is_none()
            }
            Fact::RoomClosed { room: of, why } if *of == room => {
                story.closed.replace((entry.at, *why)).is_none()
            }
            Fact::Joined {
                connection,
                room: of,
                wallet,
                ..
            } if *of == room => {
                let told = self.stays.entry(*connection).or_default();
                told.joined.replace((entry.at, *wallet)).is_none()
            }
            Fact::Left {
                connection,
                room: of,
                wallet,
                why,
                charged,
            } if *of == room => {
                let told = self.stays.entry(*connection).or_default();
                let left = (entry.at, *wallet, *why, *charged);
                told.left.replace(left).is_none()
            }
            Fact::Transferred { transfer, .. } if transfer.reason == Reason::DebitUsage => {
                if let Reference::Connection(connection) = transfer.reference {
                    let told = self.stays.entry(connection).or_default();
                    told.charge(transfer);
                }
                transfer.reference != Reference::None
            }
            Fact::Outage { from, to } => {
                story.outages.push((*from, *to));
                true
            }
            _ => return Err(BundleError::Entry(entry.id, "is not about this room")),
        };
        if is_first {
            Ok(())
        } else {
            Err(BundleError::Entry(entry.id, "tells what was told"))
        }
    }

    fn finish(mut self, head: [u8; 32]) -> Result<Story, BundleError> {
        self.story.head = head;
        for (connection, told) in self.stays {
            let stay = told
                .finish()
                .map_err(|why| BundleError::Stay(connection, why))?;
            self.story.stays.insert(connection, stay);
        }
        Ok(self.story)
    }
}

impl Told {
    fn charge(&mut self, transfer: &Transfer) {
        self.charged = self.charged.saturating_add(Seconds::new(transfer.amount));
        self.charged_last = self.charged_last.max(transfer.at);
        self.payers.insert(transfer.debit);
    }

    fn finish(self) -> Result<Stay, &'static str> {
        let (joined_at, wallet) = self.joined.ok_or("did not begin")?;
        let own = AccountKey::new(Owner::Wallet(wallet), AccountKind::Wallet, Unit::Seconds);
        if self.payers.iter().any(|payer| *payer != own) {
            return Err("is charged to somebody else");
        }
        // A charge that a server ahead decided may be of a later instant than the end; that none
        // came after it, the sum tells.
        let ended_at = self.left.map_or(self.charged_last, |(at, ..)| at);
        if self.charged > ended_at.since(joined_at) {
            return Err("is charged beyond its presence");
        }
        if let Some((_, leaver, _, told)) = self.left
            && (leaver != wallet || told != self.charged)
        {
            return Err("ended otherwise than its charges tell");
        }
        Ok(Stay {
            wallet,
            joined_at,
            left: self.left.map(|(at, _, why, _)| (at, why)),
            charged: self.charged,
        })
    }
}

/// The 32 bytes of their one canonical text.
fn bytes(text: &str) -> Option<[u8; 32]> {
    let bytes = decode_hex_array(text).ok()?;
    (encode_hex(&bytes) == text).then_some(bytes)
}
