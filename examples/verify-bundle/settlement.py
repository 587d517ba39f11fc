"""The policy `presence-overlap/1`: who was there, and what follows. Needs nothing but Python 3.8.

Written from the rules and not from the server's code: time is cut wherever anything begins or ends,
and within each piece everybody is either there or not. All instants are whole seconds since 1970.
"""
import json

LAST = 253402300799  # the end of the year 9999; no instant is later, none before 1970
OUTCOMES = {"completed": 1, "no-show-host": 2, "no-show-guest": 3}
BETTER = ("open", "last_seen", "left")  # how the end of an interval is known, worst first

def later(instant, seconds):
    return min(instant + seconds, LAST)

def earlier(instant, seconds):
    return max(instant - seconds, 0)

class Slot:
    """What was booked, in seconds."""
    def __init__(self, slot):
        self.start, self.duration = slot["start_time"], slot["duration_mins"] * 60
        self.grace, self.minimum = slot["grace_mins"] * 60, slot["min_overlap_mins"] * 60
        self.end = later(self.start, self.duration)

    def window(self, outcome):
        """The block times at which the contract takes an outcome, both ends included."""
        if outcome == "completed":
            return later(self.start, self.minimum), later(self.end, 7200)
        return later(self.start, self.grace), later(self.end, self.grace)

def changes(spans):
    """By how many a number of spans goes up or down at each instant."""
    steps = {}
    for begin, end in spans:
        if begin < end:
            steps[begin] = steps.get(begin, 0) + 1
            steps[end] = steps.get(end, 0) - 1
    return steps

def present(pieces, slot, outages):
    """Stays [from, to, source] as the one list of intervals within the session, outages cut out."""
    pieces = [(max(a, slot.start), min(b, slot.end), how) for a, b, how in pieces]
    inside = changes((a, b) for a, b, _ in pieces)
    dark = changes(outages)
    best = {}
    for a, b, how in pieces:
        if a < b:
            best[b] = max(best.get(b, how), how, key=BETTER.index)
    intervals, since, stays, out = [], None, 0, 0
    for t in sorted({*inside, *dark}):
        stays, out = stays + inside.get(t, 0), out + dark.get(t, 0)
        there = stays > 0 and out == 0
        if there and since is None:
            since = t
        elif not there and since is not None:
            # Who is cut off by an outage was last seen then, unless the stay had ended anyway.
            intervals.append([since, t, "last_seen" if stays else best[t]])
            since = None
    return intervals

def known(rows, now):
    """The stays that count, with their ends as far as they are known now."""
    kept = []
    for row in rows:
        joined, left, seen = row["joined_at"], row.get("left_at"), row.get("last_seen_at")
        if joined > now or (left is not None and left < joined):
            continue
        if left is not None:
            # Whose stay ended where it was last heard did not say so.
            kept.append((joined, min(left, now), "last_seen" if left == seen else "left"))
        elif seen is not None:
            kept.append((joined, min(max(seen, joined), now), "last_seen"))
        else:
            kept.append((joined, now, "open"))
    return kept

def seconds(host, guest, begin, end):
    """How long both, the host alone and the guest alone were there from one instant to another."""
    steps = [changes((max(a, begin), min(b, end)) for a, b, _ in party) for party in (host, guest)]
    both = host_alone = guest_alone = h = g = at = 0
    for t in sorted({*steps[0], *steps[1]}):
        if h and g:
            both += t - at
        elif h:
            host_alone += t - at
        elif g:
            guest_alone += t - at
        h, g, at = h + steps[0].get(t, 0), g + steps[1].get(t, 0), t
    return both, host_alone, guest_alone

class Judgement:
    """What the table says on these inputs, and everything on the way to it."""
    def __init__(self, slot, host, guest, outages, now, chain_now, delay=60, margin=180):
        self.slot, self.rows, self.outages, self.now = slot, (host, guest), outages, now
        self.kept = [known(rows, now) for rows in self.rows]
        self.host, self.guest = (present(kept, slot, outages) for kept in self.kept)
        self.both, self.host_alone, self.guest_alone = seconds(self.host, self.guest, slot.start, slot.end)
        self.host_seconds, self.guest_seconds = self.both + self.host_alone, self.both + self.guest_alone
        self.anomalies = len(host) + len(guest) - sum(map(len, self.kept))
        self.due = min(later(slot.end, delay), earlier(later(slot.end, slot.grace), margin))
        self.reason = self.retry_at = None
        self.row, self.outcome = self.table()
        if self.outcome is None:
            self.state = "wait"
            return
        first, last = slot.window(self.outcome)
        if chain_now < first:
            self.state, self.retry_at = "wait", first
            self.reason = "overlap_not_met" if self.outcome == "completed" else "grace_not_over"
        elif chain_now > last:
            self.state = "window_missed"
            self.reason = "completed_too_late" if self.outcome == "completed" else "no_show_too_late"
        else:
            self.state = "attest"

    def table(self):
        slot, now = self.slot, self.now
        if self.host_seconds and self.guest_seconds and self.both >= slot.minimum:
            return 1, "completed"
        if now < self.due:
            self.reason = "not_started" if now < slot.start else "session_in_progress"
            return (2 if now < slot.start else 3), None
        if now < slot.end and self.reachable():
            self.reason = "session_in_progress"
            return 4, None
        if not self.host_seconds:
            return 5, "no-show-host"
        if not self.guest_seconds:
            return 6, "no-show-guest"
        for row, begin in ((7, later(slot.start, slot.grace)), (8, slot.start)):
            _, host_alone, guest_alone = seconds(self.host, self.guest, begin, slot.end)
            if host_alone != guest_alone:
                # Who waited longer was let down.
                return row, "no-show-guest" if host_alone > guest_alone else "no-show-host"
        return 9, "no-show-host"

    def reachable(self):
        """Whether both would be together for long enough, if both stayed from now to the end."""
        parties = []
        for rows in self.rows:
            over = known([row for row in rows if "left_at" in row], self.now)
            on = known([row for row in rows if "left_at" not in row], self.now)
            stays = over + [(a, self.slot.end, "open") for a, _, _ in on]
            parties.append(present(stays + [(self.now, self.slot.end, "open")], self.slot, self.outages))
        both, _, _ = seconds(*parties, self.slot.start, self.slot.end)
        return both >= max(self.slot.minimum, 1)

def canonical(value):
    """RFC 8785, for values whose numbers are whole and whose names are ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

def metrics(schema, booking, agreement, judged, outcome, decided_at, evidence):
    """The exact text that an attestation commits to."""
    chain, contract, number = booking.split("/")
    if schema == 1:
        told = {"bookingId": number}
        for side, kept in zip(("host", "guest"), judged.kept):
            told[side + "JoinedAt"] = min((a for a, _, _ in kept), default=0)
            told[side + "LeftAt"] = max((b for _, b, _ in kept), default=decided_at)
        told["overlapSeconds"] = judged.both
        return json.dumps(told, separators=(",", ":"))
    slot = agreement["slot"]
    listed = sorted({(e["kind"], e["hash"], e["uri"]) for e in evidence})
    return canonical({
        "schema": "session-metrics/2", "policy": "presence-overlap/1",
        "chainId": chain, "escrow": contract, "bookingId": number, "slotId": agreement["slot_id"],
        "slot": {"startTime": slot["start_time"], "durationMins": slot["duration_mins"],
                 "graceMins": slot["grace_mins"], "minOverlapMins": slot["min_overlap_mins"]},
        "decidedAt": decided_at, "outcome": outcome, "overlapSeconds": judged.both,
        "host": {"wallet": slot["host"], "aloneSeconds": judged.host_alone, "presence": judged.host},
        "guest": {"wallet": agreement["guest"], "aloneSeconds": judged.guest_alone, "presence": judged.guest},
        "evidence": [{"kind": kind, "hash": hashed, "uri": uri} for kind, hashed, uri in listed],
    })
