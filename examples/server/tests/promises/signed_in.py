"""Signs requests in: as one wallet for a while, so that a room can be opened, joined and left, then
as the next one, so that none comes to its limits."""

import os
from pathlib import Path

import schemathesis

CALLS_OF_A_WALLET = 20

tokens = Path(os.environ["SESSION_TEST_TOKENS"]).read_text(encoding="ascii").split()
calls = 0


@schemathesis.auth(refresh_interval=None)
class SignedIn:
    def get(self, case, context):
        global calls
        calls += 1
        return tokens[calls // CALLS_OF_A_WALLET % len(tokens)]

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}
