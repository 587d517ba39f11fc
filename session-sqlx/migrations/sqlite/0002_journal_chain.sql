-- The journal is sealed: what is in no block yet, the blocks, and how far they go.

-- The version is always 1: an entry is never written again. It is there so that entries are read as
-- all rows are, and without a default: a server of before does not know of what is unsealed, and
-- what it appended would get into no block, ever. It knows no version either, and so is refused.
CREATE TABLE journal_with_version (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    decided_at INTEGER NOT NULL CHECK (decided_at >= 0),
    kind TEXT NOT NULL CHECK (length(kind) > 0),
    fact TEXT NOT NULL CHECK (json_valid(fact)),
    version INTEGER NOT NULL CHECK (version = 1)
) STRICT;

INSERT INTO journal_with_version (id, decided_at, kind, fact, version)
    SELECT id, decided_at, kind, fact, 1 FROM journal;
DROP TABLE journal;
ALTER TABLE journal_with_version RENAME TO journal;

-- Entries that are in no block, the oldest of which are sealed first. An entry comes in with the
-- commit that appends it, and goes with the one that inserts its block.
CREATE TABLE unsealed (
    decided_at INTEGER NOT NULL CHECK (decided_at >= 0),
    entry TEXT NOT NULL UNIQUE REFERENCES journal (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (decided_at, entry)
) STRICT, WITHOUT ROWID;

-- What was written before there was a chain.
INSERT INTO unsealed (decided_at, entry) SELECT decided_at, id FROM journal;

-- Entries in an order that is fixed from here on. Appended, never changed.
CREATE TABLE block (
    number INTEGER NOT NULL PRIMARY KEY CHECK (number >= 1),
    -- The hash of the block before; of the first block, zeros.
    previous TEXT NOT NULL CHECK (length(previous) = 64),
    sealed_at INTEGER NOT NULL CHECK (sealed_at >= 0),
    -- Their identifiers. Not foreign keys: what is gone must show, not hold up whoever looks.
    entries TEXT NOT NULL CHECK (
        CASE WHEN json_valid(entries) THEN json_type(entries) = 'array' ELSE 0 END
    ),
    root TEXT NOT NULL CHECK (length(root) = 64),
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    version INTEGER NOT NULL CHECK (version = 1)
) STRICT;

-- The one row that says how far the journal is sealed.
CREATE TABLE chain (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    chain TEXT NOT NULL CHECK (length(chain) = 36),
    blocks INTEGER NOT NULL CHECK (blocks >= 0),
    -- The hash of the last block; before the first block, zeros.
    head TEXT NOT NULL CHECK (length(head) = 64),
    seal_at INTEGER NOT NULL CHECK (seal_at >= 0),
    version INTEGER NOT NULL CHECK (version >= 1)
) STRICT;

-- A constraint of this database is changed by another table in the place of the old one.
CREATE TABLE work_with_seal (
    row_key TEXT NOT NULL PRIMARY KEY CHECK (length(row_key) > 0),
    lane TEXT NOT NULL CHECK (lane IN ('deliver', 'expire', 'rooms', 'seal', 'seats')),
    due_at INTEGER NOT NULL CHECK (due_at >= 0),
    fence INTEGER NOT NULL CHECK (fence >= 0),
    leased_until INTEGER CHECK (leased_until >= 0)
) STRICT;

INSERT INTO work_with_seal (row_key, lane, due_at, fence, leased_until)
    SELECT row_key, lane, due_at, fence, leased_until FROM work;
DROP TABLE work;
ALTER TABLE work_with_seal RENAME TO work;
CREATE INDEX work_due ON work (lane, due_at, row_key);

-- Accounts by owner, for whoever looks at all there is.
CREATE INDEX account_owner ON account (owner);
