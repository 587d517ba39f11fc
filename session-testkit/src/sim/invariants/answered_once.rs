//! `answered_once`: all answers to one idempotency key are the same, and the effect happened once.

use std::collections::BTreeMap;

use session_core::changeset::{Key, Record, Write};
use session_core::idempotency::{IdempotencyKey, Once};
use session_core::service::ExecuteError;

use super::{Invariant, Seen, Truth};
use crate::sim::Reply;

/// All answers to one idempotency key are the same, and the effect happened once.
#[derive(Debug, Default)]
pub struct AnsweredOnce {
    answers: BTreeMap<IdempotencyKey, ([u8; 16], Reply, bool)>,
    written: BTreeMap<Key, u32>,
}

impl AnsweredOnce {
    fn heard(&mut self, once: &Once, reply: &Reply, is_provisional: bool) -> Result<(), String> {
        let Some((fingerprint, first, was_provisional)) = self.answers.get_mut(&once.key) else {
            if !matches!(reply, Reply::Failed(_)) {
                let answer = (once.fingerprint, reply.clone(), is_provisional);
                self.answers.insert(once.key.clone(), answer);
            }
            return Ok(());
        };
        let key = &once.key.key;
        match reply {
            // Another request under the key must not be answered at all.
            Reply::Failed(ExecuteError::IdempotencyMismatch)
                if *fingerprint == once.fingerprint =>
            {
                Err(format!("key {key}: a repeat was taken for another request"))
            }
            Reply::Failed(_) => Ok(()),
            Reply::Granted(_) | Reply::Refused(_) if *fingerprint != once.fingerprint => {
                Err(format!("key {key}: another request got an answer: {reply}"))
            }
            Reply::Granted(_) | Reply::Refused(_) if reply == first => Ok(()),
            Reply::Granted(_) | Reply::Refused(_) if is_provisional => Ok(()),
            Reply::Granted(_) | Reply::Refused(_) if *was_provisional => {
                (*first, *was_provisional) = (reply.clone(), false);
                Ok(())
            }
            Reply::Granted(_) | Reply::Refused(_) => {
                Err(format!("key {key}: first {first}, then {reply}"))
            }
        }
    }
}

impl Invariant for AnsweredOnce {
    fn name(&self) -> &'static str {
        "answered_once"
    }

    fn see(&mut self, seen: &Seen<'_>, _: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Answered { request, reply, .. } => {
                let Some(once) = &request.once else {
                    return Ok(());
                };
                let is_provisional = match reply {
                    Reply::Granted(answer) => request.ask.is_provisional(answer),
                    Reply::Failed(_) | Reply::Refused(_) => false,
                };
                self.heard(once, reply, is_provisional)
            }
            Seen::Committed { changeset, .. } => {
                for write in &changeset.rows {
                    if let Write::Delete(Key::Idempotency(key)) = write {
                        self.answers.remove(key);
                        self.written.remove(&Key::Idempotency(key.clone()));
                    }
                }
                let Some(record) = &changeset.idempotency else {
                    return Ok(());
                };
                let times = self.written.entry(record.key()).or_default();
                *times += 1;
                if *times > 1 {
                    return Err(format!("key {}: it happened twice", record.key.key));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
