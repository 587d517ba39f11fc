//! `chain`: every entry is genuine, and in one block or in none yet; every block holds the hash of
//! the one before.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::changeset::Row;
use crate::journal::{Block, BlockNumber, Chain, Entry, Sealing};
use crate::ports::Found;
use crate::types::{EntryId, Id128};

#[derive(Debug, Default)]
pub(super) struct ChainCheck {
    chain: Option<Chain>,
    /// The last block whose entries were all shown.
    last: (BlockNumber, [u8; 32]),
    /// The block whose entries are being shown.
    open: Option<Open>,
    /// The entry in no block that is to come.
    awaited: Option<EntryId>,
    entries: u64,
    entry_sum: u128,
}

#[derive(Debug)]
struct Open {
    block: Block,
    ids: Vec<EntryId>,
    digests: Vec<[u8; 32]>,
}

impl ChainCheck {
    fn begin(&mut self, block: &Block, complaints: &mut Vec<String>) {
        self.close(complaints);
        let (number, hash) = self.last;
        if block.number != number.next() {
            complaints.push(format!("block {} follows block {number}", block.number));
        }
        if block.previous != hash {
            complaints.push(format!(
                "block {} does not hold the hash before",
                block.number
            ));
        }
        match &self.chain {
            Some(chain) if block.sealing(chain.id).hash() != block.hash => {
                complaints.push(format!("block {} has another hash", block.number));
            }
            Some(_) => {}
            None => complaints.push(format!("block {} is in no chain", block.number)),
        }
        self.last = (block.number, block.hash);
        self.open = Some(Open {
            block: block.clone(),
            ids: Vec::new(),
            digests: Vec::new(),
        });
    }

    /// All entries of the open block were shown.
    fn close(&mut self, complaints: &mut Vec<String>) {
        if let Some(Open {
            block,
            ids,
            digests,
        }) = self.open.take()
        {
            if ids != block.entries {
                complaints.push(format!("block {} has other entries", block.number));
            }
            if Sealing::root_of(&digests) != block.root {
                complaints.push(format!("entries of block {} have changed", block.number));
            }
        }
        if let Some(entry) = self.awaited.take() {
            complaints.push(format!("entry {entry} is gone"));
        }
    }

    fn read(&mut self, entry: &Entry, complaints: &mut Vec<String>) {
        self.entries = self.entries.saturating_add(1);
        let number = u128::from_be_bytes(entry.id.to_bytes());
        self.entry_sum = self.entry_sum.wrapping_add(number);
        let digest = entry.digest();
        if Entry::id_of(&digest) != entry.id {
            complaints.push(format!("entry {} has changed", entry.id));
        }
        if let Some(open) = &mut self.open {
            open.ids.push(entry.id);
            open.digests.push(digest);
        } else if self.awaited.take() != Some(entry.id) {
            complaints.push(format!("entry {} is shown out of order", entry.id));
        }
    }
}

impl Invariant for ChainCheck {
    const NAME: &'static str = "chain";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        match found {
            Found::Row(_, Row::Chain(chain)) => self.chain = Some(chain.clone()),
            Found::Row(_, Row::Block(block)) => self.begin(block, complaints),
            Found::Row(_, Row::Entry(entry)) => self.read(entry, complaints),
            Found::Unsealed(entry) => {
                self.close(complaints);
                self.awaited = Some(*entry);
            }
            Found::Totals {
                entries, entry_sum, ..
            } => {
                self.close(complaints);
                if *entries != self.entries {
                    let shown = self.entries;
                    complaints.push(format!(
                        "{entries} entries are there, {shown} are accounted for"
                    ));
                } else if *entry_sum != self.entry_sum {
                    complaints.push("an entry is in two places, and another in none".into());
                }
            }
            Found::Row(..) | Found::Transfer(_) | Found::Unreadable { .. } => {}
        }
    }

    fn end(&mut self, complaints: &mut Vec<String>) {
        let (number, hash) = self.last;
        if let Some(chain) = &self.chain
            && (chain.blocks != number || chain.head != hash)
        {
            complaints.push(format!(
                "the chain ends at block {}, the last one is {number}",
                chain.blocks
            ));
        }
    }
}
