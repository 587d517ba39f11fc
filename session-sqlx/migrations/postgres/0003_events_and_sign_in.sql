-- What participants are told, what is good no more, and whose credit an entry is about.

-- How far the events of a room have come.
ALTER TABLE room ADD COLUMN last_event bigint NOT NULL DEFAULT 0 CHECK (last_event >= 0);
ALTER TABLE room ALTER COLUMN last_event DROP DEFAULT;

-- Events of rooms, for whoever was away. Inserted, never changed, removed after a while.
CREATE TABLE room_event (
    room text COLLATE "C" NOT NULL REFERENCES room (id) DEFERRABLE INITIALLY DEFERRED,
    number bigint NOT NULL CHECK (number >= 1),
    happened_at bigint NOT NULL CHECK (happened_at >= 0),
    kind text COLLATE "C" NOT NULL CHECK (kind IN (
        'closed', 'credits_exhausted', 'credits_low', 'evicted', 'joined', 'left'
    )),
    what text COLLATE "C" NOT NULL CHECK ((what::json) IS NOT NULL),
    forget_at bigint NOT NULL CHECK (forget_at >= 0),
    version bigint NOT NULL CHECK (version >= 1),
    PRIMARY KEY (room, number)
);

-- Used sign-in nonces, and access tokens whose holders logged out: by digest, until they would have
-- expired by themselves. Inserted, never changed.
CREATE TABLE revocation (
    id text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    what text COLLATE "C" NOT NULL CHECK (what IN ('nonce', 'token')),
    revoked_at bigint NOT NULL CHECK (revoked_at >= 0),
    forget_at bigint NOT NULL CHECK (forget_at >= 0),
    version bigint NOT NULL CHECK (version >= 1)
);

CREATE INDEX revocation_tokens ON revocation (revoked_at, id) WHERE what = 'token';

-- Whose credit an entry tells a change of; empty where it tells of none. A server of before does not
-- say, and so is refused.
ALTER TABLE journal ADD COLUMN wallet text COLLATE "C" NOT NULL DEFAULT ''
    CHECK (wallet = '' OR length(wallet) = 42);
UPDATE journal SET wallet = CASE
    WHEN (fact::json #>> '{transferred,transfer,debit}') LIKE 'wallet/seconds/0x%'
        THEN substr(fact::json #>> '{transferred,transfer,debit}', 16)
    WHEN (fact::json #>> '{transferred,transfer,credit}') LIKE 'wallet/seconds/0x%'
        THEN substr(fact::json #>> '{transferred,transfer,credit}', 16)
    ELSE ''
END
WHERE kind = 'transferred' AND (fact::json #>> '{transferred,transfer,action}') = 'posted';
ALTER TABLE journal ALTER COLUMN wallet DROP DEFAULT;

CREATE INDEX journal_credit ON journal (wallet, decided_at, id) WHERE wallet <> '';

-- The last stay of a wallet in a room. Its room alone is what the foreign key asks for.
DROP INDEX seat_room;
CREATE INDEX seat_of_wallet_in_room ON seat (room, wallet, joined_at, connection);
