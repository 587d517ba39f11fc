//! Making a bundle of one room.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::bundle::{BUNDLE_FORM, Bundle, BundleBlock, BundleError};
use crate::changeset::{Fact, Row};
use crate::journal::{Block, Entry};
use crate::ledger::Reference;
use crate::ports::{Found, Visitor};
use crate::types::{ChainId, ConnectionId, RoomId, Timestamp, encode_hex};

/// Is shown everything, and keeps what is about one room.
#[derive(Debug)]
pub struct RoomExport {
    room: RoomId,
    chain: Option<ChainId>,
    stays: BTreeSet<ConnectionId>,
    /// From when to when the room was active, as far as was told.
    active: Option<(Timestamp, Option<Timestamp>)>,
    blocks: Vec<BundleBlock>,
    /// Blocks up to here are needed: the last that tells of the room.
    needed: usize,
    open: Option<BundleBlock>,
    /// Entries come that are in no block.
    is_sealed: bool,
    unsealed: u64,
}

impl RoomExport {
    /// Of this room.
    #[must_use]
    pub const fn new(room: RoomId) -> Self {
        Self {
            room,
            chain: None,
            stays: BTreeSet::new(),
            active: None,
            blocks: Vec::new(),
            needed: 0,
            open: None,
            is_sealed: true,
            unsealed: 0,
        }
    }

    /// The bundle, once everything was shown.
    ///
    /// # Errors
    /// [`BundleError::Nothing`] where no block tells of the room.
    pub fn finish(mut self) -> Result<Bundle, BundleError> {
        self.close();
        self.blocks.truncate(self.needed);
        let chain = self.chain.ok_or(BundleError::Nothing)?;
        if self.blocks.is_empty() {
            return Err(BundleError::Nothing);
        }
        Ok(Bundle {
            form: BUNDLE_FORM.to_string(),
            chain,
            room: self.room,
            blocks: self.blocks,
            unsealed: self.unsealed,
        })
    }

    fn begin(&mut self, block: &Block) {
        self.close();
        self.open = Some(BundleBlock {
            number: block.number,
            previous: encode_hex(&block.previous),
            sealed_at: block.sealed_at,
            entries: u64::try_from(block.entries.len()).unwrap_or(u64::MAX),
            root: encode_hex(&block.root),
            hash: encode_hex(&block.hash),
            digests: Vec::new(),
            shown: Vec::new(),
        });
    }

    fn close(&mut self) {
        let Some(mut block) = self.open.take() else {
            return;
        };
        let tells = !block.shown.is_empty();
        if !tells {
            block.digests.clear();
        }
        // Blocks before the first that tells of the room are of no use.
        if tells || !self.blocks.is_empty() {
            self.blocks.push(block);
        }
        if tells {
            self.needed = self.blocks.len();
        }
    }

    fn read(&mut self, entry: &Entry) {
        let is_about = self.is_about(entry);
        match &mut self.open {
            Some(block) => {
                let place = u64::try_from(block.digests.len()).unwrap_or(u64::MAX);
                block.digests.push(encode_hex(&entry.digest()));
                if is_about {
                    block.shown.push((place, entry.clone()));
                }
            }
            None if is_about && !self.is_sealed => {
                self.unsealed = self.unsealed.saturating_add(1);
            }
            None => {}
        }
    }

    fn is_about(&mut self, entry: &Entry) -> bool {
        match &entry.fact {
            Fact::RoomCreated { room, .. } if *room == self.room => {
                self.active = Some((entry.at, None));
                true
            }
            Fact::RoomClosed { room, .. } if *room == self.room => {
                self.active = self.active.map(|(from, _)| (from, Some(entry.at)));
                true
            }
            Fact::Joined {
                connection, room, ..
            } if *room == self.room => {
                self.stays.insert(*connection);
                true
            }
            Fact::Left { room, .. } => *room == self.room,
            Fact::Transferred { transfer, .. } => match transfer.reference {
                Reference::Connection(connection) => self.stays.contains(&connection),
                Reference::None => false,
            },
            Fact::Outage { from, to } => self.active.is_some_and(|(since, until)| {
                *to > since && until.is_none_or(|until| *from < until)
            }),
            _ => false,
        }
    }
}

impl Visitor for RoomExport {
    fn visit(&mut self, found: Found) {
        match found {
            Found::Row(_, Row::Chain(chain)) => self.chain = Some(chain.id),
            Found::Row(_, Row::Block(block)) => self.begin(&block),
            Found::Row(_, Row::Entry(entry)) => self.read(&entry),
            Found::Unsealed(_) | Found::Totals { .. } => {
                self.close();
                self.is_sealed = false;
            }
            Found::Row(..) | Found::Transfer(_) | Found::Unreadable { .. } => {}
        }
    }
}
