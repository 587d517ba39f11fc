#!/usr/bin/env python3
"""Checks what a server exported: every digest, hash and link, and what the entries tell together.

Usage: verify.py FILE. Needs nothing but Python 3.8. Exit codes: 0 it holds, 1 it does not, 2 it
cannot be read. Of a room: who signed it says signer.py, and the form of all that is hashed
docs/adr/0004-journal.md. Of a booked session: booked.py, which looks at the signature too, and
docs/settlement.md.
"""
import hashlib, json, sys
from uuid import UUID

import booked
from booked import Broken, check

def number(n, size=8):
    check(type(n) is int and n >= 0, f"{n!r} is no number")
    return n.to_bytes(size, "big")

def hexed(t, size):
    check(isinstance(t, str) and len(t) == 2 * size and bytes.fromhex(t).hex() == t, f"{t!r} is not {size} bytes")
    return bytes.fromhex(t)

def digest(domain, *parts):
    """SHA-256 over parts, each with its length before it."""
    h = hashlib.sha256()
    for part in (domain.encode(), *parts):
        h.update(number(len(part)) + part)
    return h.digest()

def text(t):
    return number(len(t.encode())) + t.encode()

def canonical_uuid(t):
    check(str(UUID(t)) == t, f"{t!r} is no identifier")
    return UUID(t).bytes

def wallet(t):
    check(isinstance(t, str) and t[:2] == "0x", f"{t!r} is no wallet")
    return hexed(t[2:], 20)

def variant(value):
    """A value that is one of several, as its name and what it holds."""
    check(isinstance(value, str) or len(value) == 1, f"{value!r} is not one of several")
    return (value, {}) if isinstance(value, str) else next(iter(value.items()))

def transfer(t):
    action, a = variant(t["action"])
    held = {"posted": lambda: b"\0", "pending": lambda: b"\1" + number(a["deadline"]),
            "post": lambda: b"\2" + hexed(a["of"], 16), "void": lambda: b"\3" + hexed(a["of"], 16)}
    cause, c = variant(t["reference"])
    check(cause in ("none", "connection"), f"{cause!r} is no cause")
    return (hexed(t["id"], 16) + text(t["debit"]) + text(t["credit"]) + number(t["amount"]) +
            text(t["reason"]) + held[action]() +
            (b"\0" if cause == "none" else b"\1" + canonical_uuid(c)) + number(t["at"]))

def code(name, *names):
    return bytes([names.index(name)])

def balance(b):
    return b"\0" if b is None else b"\1" + b.to_bytes(8, "big", signed=True)

FACTS = {
    "joined": lambda f: canonical_uuid(f["connection"]) + canonical_uuid(f["room"]) + wallet(f["wallet"])
        + number(f["slot"], 1) + number(f["uid"]),
    "left": lambda f: canonical_uuid(f["connection"]) + canonical_uuid(f["room"]) + wallet(f["wallet"])
        + code(f["why"], "exhausted", "left", "room_closed", "silent") + number(f["charged"]),
    "outage": lambda f: number(f["from"]) + number(f["to"]),
    "room_closed": lambda f: canonical_uuid(f["room"]) + code(f["why"], "emptied", "host_left", "unjoined"),
    "room_created": lambda f: canonical_uuid(f["room"]) + wallet(f["host"]) + code(f["visibility"], "open", "private"),
    "transferred": lambda f: transfer(f["transfer"]) + balance(f["debit_balance"]) + balance(f["credit_balance"]),
}

def block(b, chain, previous):
    """Checks a block against the one before; the hash, and the entries that it shows."""
    digests = [hexed(d, 32) for d in b["digests"]]
    hashed = digest("journal block", b"\1", chain, number(b["number"]), hexed(b["previous"], 32),
                    number(b["sealed_at"]), number(b["entries"]), hexed(b["root"], 32))
    check(hashed.hex() == b["hash"], f"block {b['number']} has another hash")
    check(previous in (None, (b["number"] - 1, b["previous"])), f"block {b['number']} does not follow")
    check(not (b["shown"] or digests) or len(digests) == b["entries"] and
          digest("journal entries", *digests).hex() == b["root"], f"block {b['number']} has other entries")
    for place, e in b["shown"]:
        kind, fact = variant(e["fact"])
        d = digest("journal entry 1", number(e["at"]) + text(kind) + FACTS[kind](fact))
        check(number(place) and place < len(digests) and d == digests[place] and d.hex()[:32] == e["id"], f"entry {e['id']} is not in its block")
    check([p for p, _ in b["shown"]] == sorted({p for p, _ in b["shown"]}), "entries are out of order")
    return [(e["at"], *variant(e["fact"])) for _, e in b["shown"]]

def stay(connection, wallet, joined_at, charges, ends):
    """What the journal tells of one stay, which must fit together."""
    charged, last = sum(t["amount"] for t in charges), max((t["at"] for t in charges), default=0)
    end = ends[0][0] if ends else last
    check(all(t["debit"] == f"wallet/seconds/{wallet}" and t["reason"] == "debit_usage" for t in charges) and len(ends) < 2
          and all(f["charged"] == charged and f["wallet"] == wallet for _, f in ends)
          and charged <= max(0, end - joined_at), f"stay {connection} does not fit together")
    until = f"{end} ({ends[0][1]['why']})" if ends else "now"
    print(f"stay {connection} of {wallet} from {joined_at} to {until}: {charged} seconds")

def story(bundle):
    check(bundle["form"] == "session room bundle 1", "another form")
    chain, room, previous, facts = canonical_uuid(bundle["chain"]), bundle["room"], None, []
    for b in bundle["blocks"]:
        facts += block(b, chain, previous)
        previous = (b["number"], b["hash"])
    check(bundle["blocks"], "nothing of the room is sealed")
    print(f"chain {bundle['chain']}\nblocks {bundle['blocks'][0]['number']} to {previous[0]}")
    print(f"head {previous[1]}\nroom {room}")
    of = lambda wanted: [(at, f) for at, kind, f in facts if kind == wanted]
    stays = {f["connection"]: (f["wallet"], at) for at, f in of("joined")}
    check(len(stays) == len(of("joined")), "somebody joins twice")
    charges, ends = {c: [] for c in stays}, {c: [] for c in stays}
    for at, kind, f in facts:
        known = f.get("room") == room or kind == "outage"
        if kind == "transferred":
            cause, c = variant(f["transfer"]["reference"])
            known = cause == "connection" and c in stays
            charges.get(c if known else None, []).append(f["transfer"])
        elif kind == "left":
            known = known and f["connection"] in stays
            ends.get(f["connection"], []).append((at, f))
        check(known, f"something at {at} is not about this room")
    check(len(of("room_created")) < 2 and len(of("room_closed")) < 2, "the room begins or ends twice")
    for at, f in of("room_created"):
        print(f"created at {at} by {f['host']}")
    for connection, (wallet, joined_at) in sorted(stays.items()):
        stay(connection, wallet, joined_at, charges[connection], ends[connection])
    for at, f in of("room_closed"):
        print(f"closed at {at} ({f['why']})")
    if bundle["unsealed"]:
        print(f"{bundle['unsealed']} entries are in no block yet")

def read(file):
    """JSON with nothing but whole numbers of one spelling."""
    def refuse(text):
        raise ValueError(f"{text} is no whole number")
    whole = lambda text: refuse(text) if text == "-0" else int(text)
    return json.load(file, parse_int=whole, parse_constant=refuse)

def is_booked(signed):
    bundle = signed.get("bundle") if isinstance(signed, dict) else None
    return isinstance(bundle, dict) and bundle.get("form") == booked.FORM

def main():
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            signed = read(file)
    except (OSError, ValueError, IndexError, RecursionError) as error:
        return f"cannot be read: {error}", 2
    try:
        if is_booked(signed):
            print("\n".join(booked.signed_story(signed)))
        else:
            story(signed["bundle"])
    except Broken as error:
        return f"does not hold: {error}", 1
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, StopIteration) as error:
        return f"does not hold: {error!r}", 1
    return None, 0

if __name__ == "__main__":
    why, code = main()
    if why:
        print(why, file=sys.stderr)
    sys.exit(code)
