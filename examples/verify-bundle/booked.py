"""Checks the bundle of a booked session: signatures, presence, decision, exact text, hash.

Used by verify.py. Needs nothing but Python 3.8. What is checked, and why: docs/settlement.md.
"""
import json, re
from datetime import datetime, timezone

from settlement import LAST, OUTCOMES, Judgement, Slot, canonical, metrics
from signer import keccak256, recover, signer

FORM = "booked session bundle 1"

class Broken(Exception):
    pass

def check(holds, why):
    if not holds:
        raise Broken(why)

# The form: what each member has to be. All members are there and no others.

def whole(most):
    return lambda v: type(v) is int and 0 <= v <= most

def like(pattern):
    return lambda v: type(v) is str and re.fullmatch(pattern, v, re.ASCII) is not None

def word_of(*words):
    return lambda v: type(v) is str and v in words

def number(v):
    return like("0|[1-9][0-9]{0,77}")(v) and int(v) < 2**256

def key(v):
    if not like("(0|[1-9][0-9]{0,19})/0x[0-9a-f]{40}/[0-9]+")(v):
        return False
    chain, _, booking = v.split("/")
    return int(chain) < 2**64 and number(booking)

def maybe(form):
    return lambda v, at: v is None or fits(v, form, at)

U16, U32, U64, INSTANT = whole(2**16 - 1), whole(2**32 - 1), whole(2**64 - 1), whole(LAST)
WALLET, WORD, TEXT = like("0x[0-9a-f]{40}"), like("0x[0-9a-f]{64}"), lambda v: type(v) is str
OUTCOME = word_of(*OUTCOMES)
SPAN = {"from": INSTANT, "to": INSTANT}
STAY = {"joined_at": INSTANT, "left_at?": INSTANT, "last_seen_at?": INSTANT}
EVIDENCE = {"kind": word_of("diarization", "other", "recording", "transcript"), "hash": WORD, "uri": TEXT}
STATEMENT = {"outcome": OUTCOME, "metrics_hash": WORD, "deadline": lambda v: number(v) and int(v) < 2**64, "signature": TEXT, "at": INSTANT}
AGREEMENT = {
    "slot_id": number, "guest": WALLET, "amount": number,
    "slot": {"host": WALLET, "start_time": INSTANT, "duration_mins": U32, "price": number, "grace_mins": U32,
             "min_overlap_mins": U32, "cancel_cutoff_mins": U32,
             "status": word_of("open", "booked", "cancelled", "settled")},
    "terms": {"fee_bps": U16, "late_cancel_penalty_bps": U16, "challenge_window": U64, "no_attest_buffer": U64,
              "dispute_timeout": U64, "challenge_bond": number},
}

def decided_by(v, at):
    return v in ("presence", "force") if type(v) is str else fits(v, {"statements": {"host": STATEMENT, "guest": STATEMENT}}, at)

def settlement(v, at):
    done = word_of("submitted", "already_attested", "already_settled", "booking_not_found")
    members = {"settled": {"done": done, "at": INSTANT}, "window_missed": {"outcome": OUTCOME, "at": INSTANT}}
    state = v.get("state") if type(v) is dict else None
    return word_of("open", "attesting", *members)(state) and fits(v, {"state": TEXT, **members.get(state, {})}, at)

DECISION = {
    "outcome": OUTCOME, "by": decided_by, "metrics": maybe({"schema": lambda v: type(v) is int and v in (1, 2), "text": TEXT}),
    "metrics_hash": WORD, "decided_at": INSTANT, "chain_now": INSTANT, "host": [STAY], "guest": [STAY],
    "outages": [SPAN], "evidence": [EVIDENCE],
    "policy": {"settle_delay_seconds": U64, "no_show_margin_seconds": U64},
}
BUNDLE = {
    "form": word_of(FORM), "booking": key, "agreement": AGREEMENT, "host": [STAY], "guest": [STAY],
    "status": word_of("none", "booked", "cancelled", "attested", "disputed", "resolved", "finalized"),
    "evidence": [{"id": like("[0-9a-f]{32}"), "evidence": EVIDENCE, "by": word_of("host", "guest", "service"), "at": INSTANT}],
    "host_statement": maybe(STATEMENT), "guest_statement": maybe(STATEMENT), "decision": maybe(DECISION),
    "settlement": settlement, "transaction": maybe(WORD),
}
SIGNED = {"bundle": BUNDLE, "signer": like("0x[0-9a-fA-F]{40}"), "signature": TEXT}

def fits(value, form, at):
    """Whether a value is of a form; the first place that is not says so."""
    if isinstance(form, list):
        check(type(value) is list, f'not a bundle of the form "{FORM}": {at} is no list')
        for place, member in enumerate(value):
            fits(member, form[0], f"{at}[{place}]")
    elif isinstance(form, dict):
        needed = {name for name in form if name[-1] != "?"}
        allowed = {name.rstrip("?") for name in form}
        right = type(value) is dict and needed <= set(value) <= allowed
        check(right, f'not a bundle of the form "{FORM}": {at} has other members')
        for name, member in form.items():
            if name.rstrip("?") in value:
                fits(value[name.rstrip("?")], member, f"{at}.{name.rstrip('?')}")
    else:
        takes_place = form.__code__.co_argcount == 2
        check(form(value, at) if takes_place else form(value), f'not a bundle of the form "{FORM}": {at}')
    return True

# Statements: EIP-712, with the members of the contract's type.

def typed(kind, *words):
    return keccak256(keccak256(kind) + b"".join(words))

def word(n):
    return n.to_bytes(32, "big")

def stated_by(statement, booking):
    """Who signed a statement; None where nobody can have."""
    chain, contract, of = booking.split("/")
    domain = typed(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
                   keccak256(b"SessionEscrow"), keccak256(b"2"), word(int(chain)), word(int(contract, 16)))
    said = typed(b"SessionOutcome(uint256 bookingId,uint8 outcome,bytes32 metricsHash,uint64 deadline)",
                 word(int(of)), word(OUTCOMES[statement["outcome"]]), bytes.fromhex(statement["metrics_hash"][2:]),
                 word(int(statement["deadline"])))
    signature = statement["signature"]
    if not like("0x[0-9a-fA-F]{130}")(signature):
        return None
    try:
        return recover(keccak256(b"\x19\x01" + domain + said), bytes.fromhex(signature[2:]))
    except AssertionError:
        return None

# What is told.

def date(instant):
    return datetime.fromtimestamp(instant, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")

def stay(side, row, start):
    told = f"{side} joined at {row['joined_at'] - start}"
    if "last_seen_at" in row:
        told += f", last seen at {row['last_seen_at'] - start}"
    return told + (f", left at {row['left_at'] - start}" if "left_at" in row else "")

def begins_with(rows, then):
    """Whether a record is what was decided on and what came after: the last stay may have gone on."""
    def same(now, was, is_last):
        may_go_on = is_last and "left_at" not in was
        return now == was or (may_go_on and now["joined_at"] == was["joined_at"])
    return len(rows) >= len(then) and all(
        same(now, was, n == len(then)) for n, (now, was) in enumerate(zip(rows, then), 1))

def by_presence(bundle, decision):
    """Works the decision out again. The lines that tell how."""
    agreement, outcome = bundle["agreement"], decision["outcome"]
    slot, policy = Slot(agreement["slot"]), decision["policy"]
    outages = [(o["from"], o["to"]) for o in decision["outages"]]
    judged = Judgement(slot, decision["host"], decision["guest"], outages, decision["decided_at"], decision["chain_now"],
                       policy["settle_delay_seconds"], policy["no_show_margin_seconds"])
    shown = decision["metrics"]
    text = shown and metrics(shown["schema"], bundle["booking"], agreement, judged, outcome, decision["decided_at"], decision["evidence"])
    check(shown and text == shown["text"], f"the metrics are not those of the presence: {text}")
    hashed = "0x" + keccak256(text.encode()).hex()
    check(hashed == decision["metrics_hash"], f"the hash is not that of the metrics: {hashed}")
    check(decision["by"] != "force", "the outcome was forced")
    check(judged.state == "attest" and judged.outcome == outcome,
          f"the presence does not give this outcome: row {judged.row} says {judged.outcome or judged.reason}, {judged.state}")
    lines = [f"outage from {a - slot.start} to {b - slot.start}" for a, b in outages]
    for side, party, total in (("host", judged.host, judged.host_seconds), ("guest", judged.guest, judged.guest_seconds)):
        lines += [f"{side} was there from {a - slot.start} to {b - slot.start} ({how})" for a, b, how in party]
        lines += [f"{side} was there for {total} seconds"]
    first, last = slot.window(outcome)
    return lines + [
        f"together {judged.both} seconds, the host alone {judged.host_alone}, the guest alone {judged.guest_alone}",
        f"decided at {decision['decided_at'] - slot.start}: {outcome}, by row {judged.row} of the table",
        f"the contract takes that from {first - slot.start} to {last - slot.start}; the block was of {decision['chain_now'] - slot.start}",
        f"text {text}",
    ]

def by_statements(bundle, decision):
    host, guest = (decision["by"]["statements"][side] for side in ("host", "guest"))
    same = all(host[member] == guest[member] for member in ("outcome", "metrics_hash", "deadline"))
    right = all(said[member] == decision[member] for said in (host, guest) for member in ("outcome", "metrics_hash"))
    agreement, booking = bundle["agreement"], bundle["booking"]
    genuine = stated_by(host, booking) == agreement["slot"]["host"] and stated_by(guest, booking) == agreement["guest"]
    slot = Slot(agreement["slot"])
    refund = slot.end + agreement["terms"]["no_attest_buffer"]
    timely = slot.start <= decision["chain_now"] <= int(host["deadline"]) and decision["chain_now"] < refund
    check(same and right and genuine and timely and decision["metrics"] is None, "the statements are not the parties', or not the same")
    start = agreement["slot"]["start_time"]
    return [f"decided at {decision['decided_at'] - start}: {decision['outcome']}, signed by both"]

def story(bundle):
    """Checks a bundle without its signature. The lines that tell it."""
    fits(bundle, BUNDLE, "bundle")
    agreement, booking, decision = bundle["agreement"], bundle["booking"], bundle["decision"]
    slot = Slot(agreement["slot"])
    parties = (("host", agreement["slot"]["host"]), ("guest", agreement["guest"]))
    lines = [f"booking {booking} of slot {agreement['slot_id']}",
             f"from {slot.start} ({date(slot.start)}) for {slot.duration} seconds, grace {slot.grace}, together at least {slot.minimum}"]
    for side, wallet in parties:
        lines += [f"{side} is {wallet}"] + [stay(side, row, slot.start) for row in bundle[side]]
        said = bundle[side + "_statement"]
        if said:
            check(stated_by(said, booking) == wallet, "a statement is not signed by its party")
            lines += [f"{side} signed {said['outcome']} on {said['metrics_hash']} until {said['deadline']}"]
    if decision:
        by = by_statements if type(decision["by"]) is dict else by_presence
        lines += by(bundle, decision)
        if type(decision["by"]) is dict:
            for side, _ in parties:
                signed = decision["by"]["statements"][side]
                check(bundle[side + "_statement"] == signed, "a statement is not signed by its party")
        listed = {(e["kind"], e["hash"], e["uri"]) for e in (attached["evidence"] for attached in bundle["evidence"])}
        decided = [(e["kind"], e["hash"], e["uri"]) for e in decision["evidence"]]
        check(decided == sorted(listed), "the decision was not made on this record")
        for side, _ in parties:
            check(begins_with(bundle[side], decision[side]), "the decision was not made on this record")
        lines += [f"the contract must show outcome {OUTCOMES[decision['outcome']]} and {decision['metrics_hash']}"]
    else:
        lines += ["nothing is decided"]
    return lines + [f"booking {bundle['status']}, settlement {bundle['settlement']['state']}"]

def signed_story(signed):
    """Checks a bundle and its signature. The lines that tell it."""
    fits(signed, SIGNED, "signed")
    named = signed["signer"].lower()
    try:
        found = signer(canonical(signed["bundle"]).encode(), signed["signature"])
    except (AssertionError, ValueError):
        found = None
    check(found == named, f"not signed by {named}")
    return [f"signed by {named}"] + story(signed["bundle"])
