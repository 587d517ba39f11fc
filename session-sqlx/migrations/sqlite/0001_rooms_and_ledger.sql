-- The rows of session-core.
--
-- Names and identifiers are text in the one canonical form that session-core gives them (a wallet
-- is '0x' and 40 lower-case hex digits, a random identifier a UUID, a derived one 32 lower-case
-- hex digits), so that text sorts as the bytes do and a person can read what is there. Instants
-- are whole seconds since 1970, amounts whole numbers of their unit.
--
-- Every constraint repeats a rule that session-core has already checked: two places, one truth.
-- Foreign keys are deferred, so that the order of writes within one commit does not matter.

-- The sums of an account: what a guard is checked against. Changed by transfers alone. Accounts
-- that every request would touch (revenue, the outside world) have no row.
CREATE TABLE account (
    kind TEXT NOT NULL
        CHECK (kind IN ('wallet', 'grant_base', 'grant_bonus', 'pool', 'refundable')),
    unit TEXT NOT NULL CHECK (unit IN ('seconds', 'sats', 'usdc_atomic')),
    owner TEXT NOT NULL CHECK (owner = 'house' OR length(owner) = 42),
    credits_posted INTEGER NOT NULL CHECK (credits_posted >= 0),
    debits_posted INTEGER NOT NULL CHECK (debits_posted >= 0),
    credits_pending INTEGER NOT NULL CHECK (credits_pending >= 0),
    debits_pending INTEGER NOT NULL CHECK (debits_pending >= 0),
    version INTEGER NOT NULL CHECK (version >= 1),
    PRIMARY KEY (kind, unit, owner),
    CONSTRAINT account_never_negative CHECK (
        kind NOT IN ('wallet', 'pool', 'refundable')
        OR credits_posted - debits_posted - debits_pending >= 0
    )
) STRICT;

-- Moves of value. Appended, never changed.
CREATE TABLE transfer (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    debit_kind TEXT NOT NULL CHECK (debit_kind IN (
        'wallet', 'grant_base', 'grant_bonus', 'pool', 'revenue', 'external_lightning',
        'external_usdc', 'breakage', 'loss', 'refundable'
    )),
    debit_owner TEXT NOT NULL CHECK (debit_owner = 'house' OR length(debit_owner) = 42),
    credit_kind TEXT NOT NULL CHECK (credit_kind IN (
        'wallet', 'grant_base', 'grant_bonus', 'pool', 'revenue', 'external_lightning',
        'external_usdc', 'breakage', 'loss', 'refundable'
    )),
    credit_owner TEXT NOT NULL CHECK (credit_owner = 'house' OR length(credit_owner) = 42),
    -- One unit for both accounts.
    unit TEXT NOT NULL CHECK (unit IN ('seconds', 'sats', 'usdc_atomic')),
    amount INTEGER NOT NULL CHECK (amount > 0),
    action TEXT NOT NULL CHECK (action IN ('posted', 'pending', 'post', 'void')),
    -- Of a reservation: after this it can only be voided.
    deadline INTEGER,
    -- Of a resolution: the reservation that it posts or voids. Each is resolved once.
    resolves TEXT REFERENCES transfer (id) DEFERRABLE INITIALLY DEFERRED,
    reason TEXT NOT NULL CHECK (reason IN (
        'admin_adjust', 'debit_usage', 'grant_base', 'grant_celo_bonus'
    )),
    -- The stay that caused it. Not a foreign key: a transfer outlives what it was for.
    connection TEXT CHECK (length(connection) = 36),
    decided_at INTEGER NOT NULL CHECK (decided_at >= 0),
    CONSTRAINT transfer_between_two CHECK (
        debit_kind <> credit_kind OR debit_owner <> credit_owner
    ),
    CONSTRAINT transfer_deadline CHECK (
        (action = 'pending') = (deadline IS NOT NULL)
        AND (deadline IS NULL OR deadline >= decided_at)
    ),
    CONSTRAINT transfer_resolves CHECK ((action IN ('post', 'void')) = (resolves IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX transfer_resolved_once ON transfer (resolves) WHERE resolves IS NOT NULL;

-- Outstanding sign-in nonces.
CREATE TABLE challenge (
    wallet TEXT NOT NULL CHECK (length(wallet) = 42),
    nonce TEXT NOT NULL CHECK (length(nonce) = 64),
    issued_at INTEGER NOT NULL CHECK (issued_at >= 0),
    forget_at INTEGER NOT NULL CHECK (forget_at >= 0),
    version INTEGER NOT NULL CHECK (version >= 1),
    PRIMARY KEY (wallet, nonce)
) STRICT;

CREATE INDEX challenge_oldest ON challenge (wallet, issued_at, nonce);

-- Answers kept for repeats of a request.
CREATE TABLE idempotency (
    caller TEXT NOT NULL CHECK (length(caller) = 42),
    command TEXT NOT NULL CHECK (length(command) > 0),
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint TEXT NOT NULL CHECK (length(fingerprint) = 32),
    answer TEXT NOT NULL CHECK (json_valid(answer)),
    expires_at INTEGER NOT NULL CHECK (expires_at >= 0),
    version INTEGER NOT NULL CHECK (version >= 1),
    PRIMARY KEY (caller, command, key)
) STRICT;

-- What will leave the process, and what came of it.
CREATE TABLE intent (
    key TEXT NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    class TEXT NOT NULL CHECK (class IN ('at_most_once', 'queryable', 'repeatable')),
    effect TEXT NOT NULL CHECK (json_valid(effect)),
    state TEXT NOT NULL
        CHECK (state IN ('pending', 'submitted', 'confirmed', 'failed', 'unknown')),
    attempts INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND 4294967295),
    due_at INTEGER NOT NULL CHECK (due_at >= 0),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    note TEXT,
    version INTEGER NOT NULL CHECK (version >= 1)
) STRICT;

-- Free rooms. Active while closed_at is null.
CREATE TABLE room (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    host TEXT NOT NULL CHECK (length(host) = 42),
    visibility TEXT NOT NULL CHECK (visibility IN ('open', 'private')),
    ai_enabled INTEGER NOT NULL CHECK (ai_enabled IN (0, 1)),
    created_at INTEGER NOT NULL CHECK (created_at >= 0),
    closed_at INTEGER CHECK (closed_at >= 0),
    closed_why TEXT CHECK (closed_why IN ('emptied', 'host_left', 'unjoined')),
    unjoined_until INTEGER CHECK (unjoined_until >= 0),
    live_seats INTEGER NOT NULL CHECK (live_seats BETWEEN 0 AND 255),
    version INTEGER NOT NULL CHECK (version >= 1),
    CONSTRAINT room_closed_for_a_reason CHECK ((closed_at IS NULL) = (closed_why IS NULL)),
    CONSTRAINT room_closed_is_empty CHECK (
        closed_at IS NULL OR (live_seats = 0 AND unjoined_until IS NULL)
    ),
    CONSTRAINT room_joined_waits_for_nobody CHECK (live_seats = 0 OR unjoined_until IS NULL)
) STRICT;

CREATE UNIQUE INDEX room_active_of_host ON room (host) WHERE closed_at IS NULL;
CREATE INDEX room_active_open ON room (created_at DESC, id)
    WHERE closed_at IS NULL AND visibility = 'open';

-- Stays of wallets in free rooms. Live while gone_at is null.
CREATE TABLE seat (
    connection TEXT NOT NULL PRIMARY KEY CHECK (length(connection) = 36),
    room TEXT NOT NULL REFERENCES room (id) DEFERRABLE INITIALLY DEFERRED,
    wallet TEXT NOT NULL CHECK (length(wallet) = 42),
    slot INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 255),
    uid INTEGER NOT NULL CHECK (uid BETWEEN 1 AND 4294967295),
    joined_at INTEGER NOT NULL CHECK (joined_at >= 0),
    last_seen_at INTEGER NOT NULL CHECK (last_seen_at >= joined_at),
    metered_to INTEGER NOT NULL CHECK (metered_to >= joined_at),
    charged INTEGER NOT NULL CHECK (charged >= 0),
    lease_until INTEGER NOT NULL CHECK (lease_until >= 0),
    low_raised INTEGER NOT NULL CHECK (low_raised IN (0, 1)),
    exhausted_at INTEGER CHECK (exhausted_at >= joined_at),
    -- Thresholds that nobody has delivered yet.
    undelivered TEXT NOT NULL CHECK (json_valid(undelivered)),
    check_at INTEGER NOT NULL CHECK (check_at >= 0),
    gone_at INTEGER CHECK (gone_at >= joined_at),
    gone_why TEXT CHECK (gone_why IN ('exhausted', 'left', 'room_closed', 'silent')),
    version INTEGER NOT NULL CHECK (version >= 1),
    CONSTRAINT seat_gone_for_a_reason CHECK ((gone_at IS NULL) = (gone_why IS NULL)),
    -- Nobody is charged for more than was metered.
    CONSTRAINT seat_charged_at_most_presence CHECK (charged <= metered_to - joined_at)
) STRICT;

CREATE UNIQUE INDEX seat_live_of_wallet ON seat (wallet) WHERE gone_at IS NULL;
CREATE UNIQUE INDEX seat_live_slot ON seat (room, slot) WHERE gone_at IS NULL;
CREATE UNIQUE INDEX seat_live_uid ON seat (room, uid) WHERE gone_at IS NULL;
-- For the foreign key.
CREATE INDEX seat_room ON seat (room);

-- The one row by which servers know of each other's life.
CREATE TABLE service (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    last_beat_at INTEGER NOT NULL CHECK (last_beat_at >= 0),
    -- Past spans in which no server was alive.
    outages TEXT NOT NULL CHECK (json_valid(outages)),
    version INTEGER NOT NULL CHECK (version >= 1)
) STRICT;

-- Queues: which row wants a worker's attention, when, and who has it.
CREATE TABLE work (
    row_key TEXT NOT NULL PRIMARY KEY CHECK (length(row_key) > 0),
    lane TEXT NOT NULL CHECK (lane IN ('deliver', 'expire', 'rooms', 'seats')),
    due_at INTEGER NOT NULL CHECK (due_at >= 0),
    fence INTEGER NOT NULL CHECK (fence >= 0),
    leased_until INTEGER CHECK (leased_until >= 0)
) STRICT;

CREATE INDEX work_due ON work (lane, due_at, row_key);

-- Facts that anybody may later want proved. Appended, never changed.
CREATE TABLE journal (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    decided_at INTEGER NOT NULL CHECK (decided_at >= 0),
    kind TEXT NOT NULL CHECK (length(kind) > 0),
    fact TEXT NOT NULL CHECK (json_valid(fact))
) STRICT;
