-- The journal is sealed: what is in no block yet, the blocks, and how far they go.

-- Always 1: an entry is never written again. There so that entries are read as all rows are.
ALTER TABLE journal ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version = 1);
-- A server of before does not know of what is unsealed: what it appended would get into no block,
-- ever. It knows no version either, and so is refused.
ALTER TABLE journal ALTER COLUMN version DROP DEFAULT;

-- Entries that are in no block, the oldest of which are sealed first. An entry comes in with the
-- commit that appends it, and goes with the one that inserts its block. Not a foreign key: what
-- comes in comes out of the statement that appended it, and looking it up once more would be a
-- tenth of what a heartbeat costs here.
CREATE TABLE unsealed (
    decided_at bigint NOT NULL CHECK (decided_at >= 0),
    entry text COLLATE "C" NOT NULL UNIQUE CHECK (length(entry) = 32),
    PRIMARY KEY (decided_at, entry)
)
-- Every entry comes and goes within seconds: what is dead is cleared away while it is little.
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What was written before there was a chain.
INSERT INTO unsealed (decided_at, entry) SELECT decided_at, id FROM journal;

-- Entries in an order that is fixed from here on. Appended, never changed.
CREATE TABLE block (
    number bigint NOT NULL PRIMARY KEY CHECK (number >= 1),
    -- The hash of the block before; of the first block, zeros.
    previous text COLLATE "C" NOT NULL CHECK (length(previous) = 64),
    sealed_at bigint NOT NULL CHECK (sealed_at >= 0),
    -- Their identifiers. Not foreign keys: what is gone must show, not hold up whoever looks.
    entries text COLLATE "C" NOT NULL CHECK (json_typeof(entries::json) = 'array'),
    root text COLLATE "C" NOT NULL CHECK (length(root) = 64),
    hash text COLLATE "C" NOT NULL CHECK (length(hash) = 64),
    version bigint NOT NULL CHECK (version = 1)
);

-- The one row that says how far the journal is sealed.
CREATE TABLE chain (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    chain text COLLATE "C" NOT NULL CHECK (length(chain) = 36),
    blocks bigint NOT NULL CHECK (blocks >= 0),
    -- The hash of the last block; before the first block, zeros.
    head text COLLATE "C" NOT NULL CHECK (length(head) = 64),
    seal_at bigint NOT NULL CHECK (seal_at >= 0),
    version bigint NOT NULL CHECK (version >= 1)
);

ALTER TABLE work
    DROP CONSTRAINT work_lane_check,
    ADD CONSTRAINT work_lane_check CHECK (lane IN ('deliver', 'expire', 'rooms', 'seal', 'seats'));

-- Accounts by owner, for whoever looks at all there is.
CREATE INDEX account_owner ON account (owner);
