"""Signs requests in: as one wallet for a while, so that a room can be opened, joined and left, then
as the next one, so that none comes to its limits. Whoever logs out is nobody else any more."""

import os
from pathlib import Path

import schemathesis

CALLS_OF_A_WALLET = 20
LAST_CALL = "POST /auth/logout"

tokens = Path(os.environ["SESSION_TEST_TOKENS"]).read_text(encoding="ascii").split()
half = len(tokens) // 2
calls = 0
last_calls = 0


@schemathesis.auth(refresh_interval=None)
class SignedIn:
    def get(self, case, context):
        global calls, last_calls
        if case.operation.label == LAST_CALL:
            last_calls += 1
            return tokens[half + last_calls % half]
        calls += 1
        return tokens[calls // CALLS_OF_A_WALLET % half]

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}
