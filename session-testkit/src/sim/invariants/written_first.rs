//! `written_first`: nothing leaves the process before its intent is written, what may leave once
//! leaves once, and what is written of an intent is what happened.

use std::collections::BTreeMap;

use session_core::changeset::{Key, Row, Write};
use session_core::outbox::{Effect, IntentClass, IntentState};
use session_core::types::IntentKey;

use super::{Invariant, Seen, Truth};

/// Nothing leaves the process before its intent is written.
#[derive(Debug, Default)]
pub struct WrittenFirst {
    left: BTreeMap<IntentKey, u32>,
    done: BTreeMap<IntentKey, u32>,
}

impl Invariant for WrittenFirst {
    fn name(&self) -> &'static str {
        "written_first"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Leaving(intent) => {
                let key = intent.key;
                let Some((_, Row::Intent(written))) = truth.world.row(&Key::Intent(key)) else {
                    return Err(format!("intent {key} leaves and is not written"));
                };
                let is_repeatable = intent.class == IntentClass::Repeatable;
                if !is_repeatable && written.state == IntentState::Pending {
                    return Err(format!(
                        "intent {key} leaves and is not written as submitted"
                    ));
                }
                let times = self.left.entry(key).or_default();
                *times += 1;
                if *times > 1 && intent.class == IntentClass::AtMostOnce {
                    // A first attempt that surely did not happen may be followed by another.
                    let is_retry = intent.attempts > 0 && !self.done.contains_key(&key);
                    if !is_retry {
                        return Err(format!("intent {key} may leave once and leaves again"));
                    }
                }
                Ok(())
            }
            Seen::Done(intent) => {
                let times = self.done.entry(intent.key).or_default();
                *times += 1;
                if *times > 1 && intent.class != IntentClass::Repeatable {
                    return Err(format!("intent {} was done {times} times", intent.key));
                }
                Ok(())
            }
            Seen::Committed { changeset, .. } => {
                for write in &changeset.rows {
                    let Write::Update(Row::Intent(intent)) = write else {
                        continue;
                    };
                    // Of an attestation the chain says what came of it (`attested_once`).
                    if matches!(intent.effect, Effect::Attest(_)) {
                        continue;
                    }
                    let is_done = self.done.contains_key(&intent.key);
                    if intent.state == IntentState::Confirmed && !is_done {
                        return Err(format!("intent {} is confirmed, not done", intent.key));
                    }
                    let can_tell = intent.class == IntentClass::Queryable;
                    if intent.state == IntentState::Failed && can_tell && is_done {
                        return Err(format!("intent {} is failed, and done", intent.key));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
