-- What participants are told, what is good no more, and whose credit an entry is about.

-- How far the events of a room have come.
ALTER TABLE room ADD COLUMN last_event INTEGER NOT NULL DEFAULT 0 CHECK (last_event >= 0);

-- Events of rooms, for whoever was away. Inserted, never changed, removed after a while.
CREATE TABLE room_event (
    room TEXT NOT NULL REFERENCES room (id) DEFERRABLE INITIALLY DEFERRED,
    number INTEGER NOT NULL CHECK (number >= 1),
    happened_at INTEGER NOT NULL CHECK (happened_at >= 0),
    kind TEXT NOT NULL CHECK (kind IN (
        'closed', 'credits_exhausted', 'credits_low', 'evicted', 'joined', 'left'
    )),
    what TEXT NOT NULL CHECK (json_valid(what)),
    forget_at INTEGER NOT NULL CHECK (forget_at >= 0),
    version INTEGER NOT NULL CHECK (version >= 1),
    PRIMARY KEY (room, number)
) STRICT, WITHOUT ROWID;

-- Used sign-in nonces, and access tokens whose holders logged out: by digest, until they would have
-- expired by themselves. Inserted, never changed.
CREATE TABLE revocation (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    what TEXT NOT NULL CHECK (what IN ('nonce', 'token')),
    revoked_at INTEGER NOT NULL CHECK (revoked_at >= 0),
    forget_at INTEGER NOT NULL CHECK (forget_at >= 0),
    version INTEGER NOT NULL CHECK (version >= 1)
) STRICT;

CREATE INDEX revocation_tokens ON revocation (revoked_at, id) WHERE what = 'token';

-- Whose credit an entry tells a change of; empty where it tells of none. Without a default: a server
-- of before does not say, and so is refused. What refers to the table stands aside meanwhile.
CREATE TABLE unsealed_meanwhile AS SELECT decided_at, entry FROM unsealed;
DROP TABLE unsealed;

CREATE TABLE journal_with_wallet (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    decided_at INTEGER NOT NULL CHECK (decided_at >= 0),
    kind TEXT NOT NULL CHECK (length(kind) > 0),
    fact TEXT NOT NULL CHECK (json_valid(fact)),
    wallet TEXT NOT NULL CHECK (wallet = '' OR length(wallet) = 42),
    version INTEGER NOT NULL CHECK (version = 1)
) STRICT;

INSERT INTO journal_with_wallet (id, decided_at, kind, fact, wallet, version)
    SELECT id, decided_at, kind, fact, CASE
        WHEN kind <> 'transferred' THEN ''
        WHEN json_extract(fact, '$.transferred.transfer.action') IS NOT 'posted' THEN ''
        WHEN json_extract(fact, '$.transferred.transfer.debit') LIKE 'wallet/seconds/0x%'
            THEN substr(json_extract(fact, '$.transferred.transfer.debit'), 16)
        WHEN json_extract(fact, '$.transferred.transfer.credit') LIKE 'wallet/seconds/0x%'
            THEN substr(json_extract(fact, '$.transferred.transfer.credit'), 16)
        ELSE ''
    END, version FROM journal;
DROP TABLE journal;
ALTER TABLE journal_with_wallet RENAME TO journal;

CREATE TABLE unsealed (
    decided_at INTEGER NOT NULL CHECK (decided_at >= 0),
    entry TEXT NOT NULL UNIQUE REFERENCES journal (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (decided_at, entry)
) STRICT, WITHOUT ROWID;

INSERT INTO unsealed (decided_at, entry) SELECT decided_at, entry FROM unsealed_meanwhile;
DROP TABLE unsealed_meanwhile;

CREATE INDEX journal_credit ON journal (wallet, decided_at, id) WHERE wallet <> '';

-- The last stay of a wallet in a room. Its room alone is what the foreign key asks for.
DROP INDEX seat_room;
CREATE INDEX seat_of_wallet_in_room ON seat (room, wallet, joined_at, connection);
