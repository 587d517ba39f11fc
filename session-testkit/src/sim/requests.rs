//! Requests: how they are sent, lost, delayed, doubled and answered.

use super::Fault;
use super::hub::Server;
use super::invariants::Seen;
use super::run::Run;
use super::tasks::{Kind, Output, Task};
use super::{Reply, Request, Stage, System};

impl Run {
    /// A request is over; its client hears of it, or does not.
    pub(super) fn answered(&mut self, task: &Task, reply: &Reply) {
        let Kind::Request(place) = task.kind else {
            return;
        };
        let Some(request) = self.sent.get(place).cloned() else {
            return;
        };
        let is_lost = {
            let mut inner = self.hub.lock();
            let name = request.ask.name();
            inner.note(format_args!(
                "client {} hears of {name}: {reply}",
                request.client
            ));
            let written = inner.written.remove(&task.id).unwrap_or_default();
            if request.once.is_some() && written.is_empty() && !matches!(reply, Reply::Failed(_)) {
                inner.reach("a repeat got its kept answer");
            }
            let by = inner.by();
            inner.see(&Seen::Answered {
                by,
                request: &request,
                reply,
                written: &written,
            });
            inner.strike(&[Fault::ReplyLost]).is_some()
        };
        if is_lost {
            self.maybe_retry(request);
            return;
        }
        self.with_stage(|system, stage| system.heard(&request, reply, stage));
        if matches!(reply, Reply::Failed(_)) {
            self.maybe_retry(request);
        }
    }

    /// Some client asks for something.
    pub(super) fn request(&mut self) {
        let retry = {
            let mut inner = self.hub.lock();
            let now = inner.now;
            let due = self.retries.iter().position(|(at, _)| *at <= now);
            due.filter(|_| inner.choices.weighted(&[1, 1]) == 0)
        };
        let request = match retry {
            Some(place) => Some(self.retries.remove(place).1),
            None => self.with_stage(|system, stage| system.next(stage)),
        };
        if let Some(request) = request {
            self.send(request);
        }
    }

    fn send(&mut self, request: Request) {
        let struck = self.hub.lock().strike(&[
            Fault::RequestDelayed,
            Fault::RequestDuplicated,
            Fault::RequestLost,
            Fault::RequestReordered,
        ]);
        match struck {
            Some(Fault::RequestLost) => return self.maybe_retry(request),
            Some(Fault::RequestReordered) => {
                self.held.push(request);
                return;
            }
            Some(Fault::RequestDelayed) => {
                let delay = self.hub.lock().choices.between(1, 60);
                self.deliver(request, delay);
            }
            Some(_) => {
                self.deliver(request.clone(), 0);
                self.deliver(request, 0);
            }
            None => self.deliver(request, 0),
        }
        for overtaken in std::mem::take(&mut self.held) {
            self.deliver(overtaken, 0);
        }
    }

    pub(super) fn deliver(&mut self, request: Request, delay: u64) {
        let (server, not_before) = {
            let mut inner = self.hub.lock();
            let now = inner.now;
            let serving = |(place, server): (usize, &Server)| server.serves(now).then_some(place);
            let serving: Vec<usize> = inner
                .servers
                .iter()
                .enumerate()
                .filter_map(serving)
                .collect();
            let Some(&server) = inner.choices.pick(&serving) else {
                inner.reach("a client found no server");
                return;
            };
            let keyed = if request.once.is_some() {
                " with a key"
            } else {
                ""
            };
            let (client, ask) = (request.client, &request.ask);
            inner.note(format_args!(
                "client {client} asks server {server}{keyed}: {ask:?}"
            ));
            (server, now + delay)
        };
        let (ask, once) = (request.ask.clone(), request.once.clone());
        let kind = Kind::Request(self.sent.len());
        self.sent.push(request);
        let asking = ask.run(self.ports[server].clone(), once);
        let work = Box::pin(async move { Output::Answered(asking.await) });
        let task = self.spawn(server, kind, not_before, work);
        if let Some(request) = self.sent.last() {
            self.hub.lock().see(&Seen::Asked { task, request });
        }
    }

    /// A client that heard nothing, or that something failed, may ask again.
    pub(super) fn maybe_retry(&mut self, request: Request) {
        let mut inner = self.hub.lock();
        if inner.choices.weighted(&[1, 2]) == 1 {
            let at = inner.now + inner.choices.between(0, 20);
            self.retries.push((at, request));
        }
    }

    pub(super) fn request_of(&self, task: &Task) -> Option<Request> {
        match task.kind {
            Kind::Request(place) => self.sent.get(place).cloned(),
            Kind::Beat | Kind::Dispatched | Kind::Lane(_) | Kind::Start => None,
        }
    }

    fn with_stage<T>(&mut self, use_it: impl FnOnce(&mut dyn System, &mut Stage<'_>) -> T) -> T {
        let mut inner = self.hub.lock();
        let inner = &mut *inner;
        if let Some(chains) = &inner.chains {
            chains.tell_time(inner.now);
        }
        let mut reached = Vec::new();
        let mut stage = Stage {
            choices: &mut inner.choices,
            now: inner.now,
            verified: &mut inner.verified,
            policy: &inner.policy,
            chains: inner.chains.as_ref(),
            reached: &mut reached,
        };
        let result = use_it(&mut *self.system, &mut stage);
        for point in reached {
            inner.reach(point);
        }
        result
    }
}
