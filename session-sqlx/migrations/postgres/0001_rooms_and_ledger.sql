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
    kind text COLLATE "C" NOT NULL
        CHECK (kind IN ('wallet', 'grant_base', 'grant_bonus', 'pool', 'refundable')),
    unit text COLLATE "C" NOT NULL CHECK (unit IN ('seconds', 'sats', 'usdc_atomic')),
    owner text COLLATE "C" NOT NULL CHECK (owner = 'house' OR length(owner) = 42),
    credits_posted bigint NOT NULL CHECK (credits_posted >= 0),
    debits_posted bigint NOT NULL CHECK (debits_posted >= 0),
    credits_pending bigint NOT NULL CHECK (credits_pending >= 0),
    debits_pending bigint NOT NULL CHECK (debits_pending >= 0),
    version bigint NOT NULL CHECK (version >= 1),
    PRIMARY KEY (kind, unit, owner),
    CONSTRAINT account_never_negative CHECK (
        kind NOT IN ('wallet', 'pool', 'refundable')
        OR credits_posted - debits_posted - debits_pending >= 0
    )
)
-- Heartbeats write an account and a seat each: new versions stay on the page of the old ones.
WITH (fillfactor = 60);

-- Moves of value. Appended, never changed.
CREATE TABLE transfer (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    debit_kind text COLLATE "C" NOT NULL CHECK (debit_kind IN (
        'wallet', 'grant_base', 'grant_bonus', 'pool', 'revenue', 'external_lightning',
        'external_usdc', 'breakage', 'loss', 'refundable'
    )),
    debit_owner text COLLATE "C" NOT NULL CHECK (debit_owner = 'house' OR length(debit_owner) = 42),
    credit_kind text COLLATE "C" NOT NULL CHECK (credit_kind IN (
        'wallet', 'grant_base', 'grant_bonus', 'pool', 'revenue', 'external_lightning',
        'external_usdc', 'breakage', 'loss', 'refundable'
    )),
    credit_owner text COLLATE "C" NOT NULL CHECK (credit_owner = 'house' OR length(credit_owner) = 42),
    -- One unit for both accounts.
    unit text COLLATE "C" NOT NULL CHECK (unit IN ('seconds', 'sats', 'usdc_atomic')),
    amount bigint NOT NULL CHECK (amount > 0),
    action text COLLATE "C" NOT NULL CHECK (action IN ('posted', 'pending', 'post', 'void')),
    -- Of a reservation: after this it can only be voided.
    deadline bigint,
    -- Of a resolution: the reservation that it posts or voids. Each is resolved once.
    resolves text COLLATE "C" REFERENCES transfer (id) DEFERRABLE INITIALLY DEFERRED,
    reason text COLLATE "C" NOT NULL CHECK (reason IN (
        'admin_adjust', 'debit_usage', 'grant_base', 'grant_celo_bonus'
    )),
    -- The stay that caused it. Not a foreign key: a transfer outlives what it was for.
    connection text COLLATE "C" CHECK (length(connection) = 36),
    decided_at bigint NOT NULL CHECK (decided_at >= 0),
    CONSTRAINT transfer_between_two CHECK (
        debit_kind <> credit_kind OR debit_owner <> credit_owner
    ),
    CONSTRAINT transfer_deadline CHECK (
        (action = 'pending') = (deadline IS NOT NULL)
        AND (deadline IS NULL OR deadline >= decided_at)
    ),
    CONSTRAINT transfer_resolves CHECK ((action IN ('post', 'void')) = (resolves IS NOT NULL))
);

CREATE UNIQUE INDEX transfer_resolved_once ON transfer (resolves) WHERE resolves IS NOT NULL;

-- Outstanding sign-in nonces.
CREATE TABLE challenge (
    wallet text COLLATE "C" NOT NULL CHECK (length(wallet) = 42),
    nonce text COLLATE "C" NOT NULL CHECK (length(nonce) = 64),
    issued_at bigint NOT NULL CHECK (issued_at >= 0),
    forget_at bigint NOT NULL CHECK (forget_at >= 0),
    version bigint NOT NULL CHECK (version >= 1),
    PRIMARY KEY (wallet, nonce)
);

CREATE INDEX challenge_oldest ON challenge (wallet, issued_at, nonce);

-- Answers kept for repeats of a request.
CREATE TABLE idempotency (
    caller text COLLATE "C" NOT NULL CHECK (length(caller) = 42),
    command text COLLATE "C" NOT NULL CHECK (length(command) > 0),
    key text COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint text COLLATE "C" NOT NULL CHECK (length(fingerprint) = 32),
    answer text COLLATE "C" NOT NULL CHECK ((answer::json) IS NOT NULL),
    expires_at bigint NOT NULL CHECK (expires_at >= 0),
    version bigint NOT NULL CHECK (version >= 1),
    PRIMARY KEY (caller, command, key)
);

-- What will leave the process, and what came of it.
CREATE TABLE intent (
    key text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    class text COLLATE "C" NOT NULL CHECK (class IN ('at_most_once', 'queryable', 'repeatable')),
    effect text COLLATE "C" NOT NULL CHECK ((effect::json) IS NOT NULL),
    state text COLLATE "C" NOT NULL
        CHECK (state IN ('pending', 'submitted', 'confirmed', 'failed', 'unknown')),
    attempts bigint NOT NULL CHECK (attempts BETWEEN 0 AND 4294967295),
    due_at bigint NOT NULL CHECK (due_at >= 0),
    created_at bigint NOT NULL CHECK (created_at >= 0),
    note text COLLATE "C",
    version bigint NOT NULL CHECK (version >= 1)
);

-- Free rooms. Active while closed_at is null.
CREATE TABLE room (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    host text COLLATE "C" NOT NULL CHECK (length(host) = 42),
    visibility text COLLATE "C" NOT NULL CHECK (visibility IN ('open', 'private')),
    ai_enabled bigint NOT NULL CHECK (ai_enabled IN (0, 1)),
    created_at bigint NOT NULL CHECK (created_at >= 0),
    closed_at bigint CHECK (closed_at >= 0),
    closed_why text COLLATE "C" CHECK (closed_why IN ('emptied', 'host_left', 'unjoined')),
    unjoined_until bigint CHECK (unjoined_until >= 0),
    live_seats bigint NOT NULL CHECK (live_seats BETWEEN 0 AND 255),
    version bigint NOT NULL CHECK (version >= 1),
    CONSTRAINT room_closed_for_a_reason CHECK ((closed_at IS NULL) = (closed_why IS NULL)),
    CONSTRAINT room_closed_is_empty CHECK (
        closed_at IS NULL OR (live_seats = 0 AND unjoined_until IS NULL)
    ),
    CONSTRAINT room_joined_waits_for_nobody CHECK (live_seats = 0 OR unjoined_until IS NULL)
);

CREATE UNIQUE INDEX room_active_of_host ON room (host) WHERE closed_at IS NULL;
CREATE INDEX room_active_open ON room (created_at DESC, id)
    WHERE closed_at IS NULL AND visibility = 'open';

-- Stays of wallets in free rooms. Live while gone_at is null.
CREATE TABLE seat (
    connection text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(connection) = 36),
    room text COLLATE "C" NOT NULL REFERENCES room (id) DEFERRABLE INITIALLY DEFERRED,
    wallet text COLLATE "C" NOT NULL CHECK (length(wallet) = 42),
    slot bigint NOT NULL CHECK (slot BETWEEN 0 AND 255),
    uid bigint NOT NULL CHECK (uid BETWEEN 1 AND 4294967295),
    joined_at bigint NOT NULL CHECK (joined_at >= 0),
    last_seen_at bigint NOT NULL CHECK (last_seen_at >= joined_at),
    metered_to bigint NOT NULL CHECK (metered_to >= joined_at),
    charged bigint NOT NULL CHECK (charged >= 0),
    lease_until bigint NOT NULL CHECK (lease_until >= 0),
    low_raised bigint NOT NULL CHECK (low_raised IN (0, 1)),
    exhausted_at bigint CHECK (exhausted_at >= joined_at),
    -- Thresholds that nobody has delivered yet.
    undelivered text COLLATE "C" NOT NULL CHECK ((undelivered::json) IS NOT NULL),
    check_at bigint NOT NULL CHECK (check_at >= 0),
    gone_at bigint CHECK (gone_at >= joined_at),
    gone_why text COLLATE "C" CHECK (gone_why IN ('exhausted', 'left', 'room_closed', 'silent')),
    version bigint NOT NULL CHECK (version >= 1),
    CONSTRAINT seat_gone_for_a_reason CHECK ((gone_at IS NULL) = (gone_why IS NULL)),
    -- Nobody is charged for more than was metered.
    CONSTRAINT seat_charged_at_most_presence CHECK (charged <= metered_to - joined_at)
)
WITH (fillfactor = 60);

CREATE UNIQUE INDEX seat_live_of_wallet ON seat (wallet) WHERE gone_at IS NULL;
CREATE UNIQUE INDEX seat_live_slot ON seat (room, slot) WHERE gone_at IS NULL;
CREATE UNIQUE INDEX seat_live_uid ON seat (room, uid) WHERE gone_at IS NULL;
-- For the foreign key.
CREATE INDEX seat_room ON seat (room);

-- The one row by which servers know of each other's life.
CREATE TABLE service (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    last_beat_at bigint NOT NULL CHECK (last_beat_at >= 0),
    -- Past spans in which no server was alive.
    outages text COLLATE "C" NOT NULL CHECK ((outages::json) IS NOT NULL),
    version bigint NOT NULL CHECK (version >= 1)
);

-- Queues: which row wants a worker's attention, when, and who has it.
CREATE TABLE work (
    row_key text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(row_key) > 0),
    lane text COLLATE "C" NOT NULL CHECK (lane IN ('deliver', 'expire', 'rooms', 'seats')),
    due_at bigint NOT NULL CHECK (due_at >= 0),
    fence bigint NOT NULL CHECK (fence >= 0),
    leased_until bigint CHECK (leased_until >= 0)
);

CREATE INDEX work_due ON work (lane, due_at, row_key);

-- Facts that anybody may later want proved. Appended, never changed.
CREATE TABLE journal (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    decided_at bigint NOT NULL CHECK (decided_at >= 0),
    kind text COLLATE "C" NOT NULL CHECK (length(kind) > 0),
    fact text COLLATE "C" NOT NULL CHECK ((fact::json) IS NOT NULL)
);
