#!/usr/bin/env python3
"""Runs the script's policy, texts and statements on the recorded cases.

Usage: vectors.py FILE. Prints each case that differs; exit code 1 where there is one, or none ran.
"""
import json, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from booked import stated_by
from settlement import OUTCOMES, Judgement, Slot, canonical
from signer import keccak256

def told(judged):
    says = {"state": judged.state, "outcome": judged.outcome, "reason": judged.reason, "retry_at": judged.retry_at}
    return {name: value for name, value in says.items() if value is not None}

def policy(case):
    judged = Judgement(Slot(case["slot"]), case["host"], case["guest"], [], case["now"], case["chain_now"])
    measures = {"host_secs": judged.host_seconds, "guest_secs": judged.guest_seconds, "overlap_secs": judged.both,
                "host_alone_secs": judged.host_alone, "guest_alone_secs": judged.guest_alone,
                "anomalies": judged.anomalies}
    return [told(judged), measures] == [case["expect"], case["measures"]]

def text(case):
    """The hash of each text, and the one form of the second schema."""
    preimage = case["preimage_utf8"]
    one_form = case["schema"] == 1 or canonical(json.loads(preimage)) == preimage
    return one_form and "0x" + keccak256(preimage.encode()).hex() == case["hash"]

def statement(case):
    domain, message = case["domain"], case["message"]
    names = {code: name for name, code in OUTCOMES.items()}
    booking = f"{domain['chainId']}/{domain['verifyingContract'].lower()}/{message['bookingId']}"
    said = {"outcome": names[message["outcome"]], "metrics_hash": message["metricsHash"], "deadline": int(message["deadline"])}
    return all(stated_by({**said, "signature": case[side]["signature"]}, booking) == case[side]["address"].lower()
               for side in ("host", "guest"))

def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        vectors = json.load(file)
    wrong, ran = [], 0
    for section, agrees in (("attestation", policy), ("metrics_hash", text), ("eip712_mutual_outcome", statement)):
        wrong += [case["id"] for case in vectors[section] if not agrees(case)]
        ran += len(vectors[section])
        print(f"{section}: {len(vectors[section])}")
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong or not ran else 0

if __name__ == "__main__":
    sys.exit(main())
