#!/usr/bin/env python3
"""Checks who signed what a server exported. Needs nothing but Python 3.8.

Usage: signer.py FILE. Prints the wallet that signed it; exit code 1 where that is not the one it
names, 2 where it cannot be read. Whether that wallet is the server's is for you to know: it says so
in its log when it starts.
"""
import json, sys

def keccak256(data):
    """As Ethereum hashes; the standard library has only what came after it."""
    rounds, lfsr = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            constant |= (lfsr & 1) << ((1 << j) - 1)
            lfsr = lfsr << 1 ^ (0x171 if lfsr >> 7 else 0)
        rounds.append(constant)
    turn = lambda v, n: (v << n | v >> (64 - n)) & (1 << 64) - 1 if n else v
    data += b"\1" + bytes(135 - len(data) % 136)
    data = data[:-1] + bytes([data[-1] | 0x80])
    s = [[0] * 5 for _ in range(5)]
    for at in range(0, len(data), 136):
        for i in range(17):
            s[i % 5][i // 5] ^= int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little")
        for constant in rounds:
            c = [s[x][0] ^ s[x][1] ^ s[x][2] ^ s[x][3] ^ s[x][4] for x in range(5)]
            s = [[s[x][y] ^ c[x - 1] ^ turn(c[(x + 1) % 5], 1) for y in range(5)] for x in range(5)]
            x, y, moved = 1, 0, s[1][0]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                moved, s[x][y] = s[x][y], turn(moved, (t + 1) * (t + 2) // 2 % 64)
            s = [[s[x][y] ^ ~s[(x + 1) % 5][y] & s[(x + 2) % 5][y] for y in range(5)] for x in range(5)]
            s[0][0] ^= constant
    return b"".join(s[i % 5][i // 5].to_bytes(8, "little") for i in range(4))

P, N = 2**256 - 2**32 - 977, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)

def add(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    slope = (3 * p[0] * p[0] * pow(2 * p[1], -1, P) if p == q else (q[1] - p[1]) * pow(q[0] - p[0], -1, P)) % P
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P

def times(k, p):
    total = None
    while k:
        total, p, k = (add(total, p) if k & 1 else total), add(p, p), k >> 1
    return total

def recover(digest, raw):
    """Whose key made a signature of 65 bytes over a digest: the low s, and v 27 or 28."""
    r, s, v = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big"), raw[64] % 27
    assert len(raw) == 65 and raw[64] in (27, 28) and 0 < r < N and 0 < s <= N // 2
    z = int.from_bytes(digest, "big")
    y = pow(r**3 + 7, (P + 1) // 4, P)
    assert (y * y - r**3 - 7) % P == 0
    key = times(pow(r, -1, N), add(times(s, (r, y if y % 2 == v else P - y)), times(-z % N, G)))
    assert key is not None
    return "0x" + keccak256(key[0].to_bytes(32, "big") + key[1].to_bytes(32, "big"))[12:].hex()

def signer(message, signature):
    """Who signed a personal message (EIP-191, secp256k1)."""
    raw = bytes.fromhex(signature[2:])
    assert signature == "0x" + raw.hex() and len(raw) == 65
    return recover(keccak256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message), raw)

def main():
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            signed = json.load(file)
    except (OSError, ValueError, IndexError, RecursionError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    try:
        canonical = json.dumps(signed["bundle"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        found = signer(canonical.encode(), signed["signature"])
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        print(f"is not signed: {error!r}", file=sys.stderr)
        return 1
    print(f"signed by {found}")
    return 0 if found == signed["signer"] else 1

if __name__ == "__main__":
    sys.exit(main())
