-- Booked sessions, and what hosts say of themselves.

-- One row for each booking of an escrow. What is looked for has columns of its own; all of it is in
-- the record.
CREATE TABLE booked_session (
    key TEXT NOT NULL PRIMARY KEY CHECK (length(key) > 0),
    host TEXT NOT NULL CHECK (length(host) = 42),
    guest TEXT NOT NULL CHECK (length(guest) = 42),
    status TEXT NOT NULL CHECK (status IN (
        'attested', 'booked', 'cancelled', 'disputed', 'finalized', 'none', 'resolved'
    )),
    starts_at INTEGER NOT NULL CHECK (starts_at >= 0),
    record TEXT NOT NULL CHECK (json_valid(record)),
    version INTEGER NOT NULL CHECK (version >= 1)
) STRICT;

CREATE INDEX booked_session_of_host ON booked_session (host, starts_at, key);
CREATE INDEX booked_session_of_guest ON booked_session (guest, starts_at, key);

CREATE TABLE host (
    wallet TEXT NOT NULL PRIMARY KEY CHECK (length(wallet) = 42),
    accepting_bookings INTEGER NOT NULL CHECK (accepting_bookings IN (0, 1)),
    changed_at INTEGER NOT NULL CHECK (changed_at >= 0),
    version INTEGER NOT NULL CHECK (version >= 1)
) STRICT;

-- A constraint of this database is changed by another table in the place of the old one.
CREATE TABLE work_with_attest (
    row_key TEXT NOT NULL PRIMARY KEY CHECK (length(row_key) > 0),
    lane TEXT NOT NULL CHECK (lane IN ('attest', 'deliver', 'expire', 'rooms', 'seal', 'seats')),
    due_at INTEGER NOT NULL CHECK (due_at >= 0),
    fence INTEGER NOT NULL CHECK (fence >= 0),
    leased_until INTEGER CHECK (leased_until >= 0)
) STRICT;

INSERT INTO work_with_attest (row_key, lane, due_at, fence, leased_until)
    SELECT row_key, lane, due_at, fence, leased_until FROM work;
DROP TABLE work;
ALTER TABLE work_with_attest RENAME TO work;
CREATE INDEX work_due ON work (lane, due_at, row_key);
