-- Booked sessions, and what hosts say of themselves.

-- One row for each booking of an escrow. What is looked for has columns of its own; all of it is in
-- the record.
CREATE TABLE booked_session (
    key text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(key) > 0),
    host text COLLATE "C" NOT NULL CHECK (length(host) = 42),
    guest text COLLATE "C" NOT NULL CHECK (length(guest) = 42),
    status text COLLATE "C" NOT NULL CHECK (status IN (
        'attested', 'booked', 'cancelled', 'disputed', 'finalized', 'none', 'resolved'
    )),
    starts_at bigint NOT NULL CHECK (starts_at >= 0),
    record text COLLATE "C" NOT NULL CHECK ((record::json) IS NOT NULL),
    version bigint NOT NULL CHECK (version >= 1)
);

CREATE INDEX booked_session_of_host ON booked_session (host, starts_at, key);
CREATE INDEX booked_session_of_guest ON booked_session (guest, starts_at, key);

CREATE TABLE host (
    wallet text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(wallet) = 42),
    accepting_bookings bigint NOT NULL CHECK (accepting_bookings IN (0, 1)),
    changed_at bigint NOT NULL CHECK (changed_at >= 0),
    version bigint NOT NULL CHECK (version >= 1)
);

ALTER TABLE work
    DROP CONSTRAINT work_lane_check,
    ADD CONSTRAINT work_lane_check
        CHECK (lane IN ('attest', 'deliver', 'expire', 'rooms', 'seal', 'seats'));
