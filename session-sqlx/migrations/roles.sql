-- What the role that servers run as may do: no DDL, and nothing to what is only ever appended.
--
-- Run it with psql as the owner of the tables, after each migration; a migration may bring tables.
-- The role is there already. Tables are looked for on the owner's search path.
--
--     psql --set role=session_app --file session-sqlx/migrations/roles.sql "$OWNER_URL"

\set ON_ERROR_STOP on
\if :{?role}
\else
    \warn 'which role? psql --set role=NAME'
    DO $$ BEGIN RAISE EXCEPTION 'no role given'; END $$;
\endif

BEGIN;

SELECT current_schema() AS schema \gset
GRANT USAGE ON SCHEMA :"schema" TO :"role";

-- Whatever it had before.
REVOKE ALL ON
    account, block, booked_session, chain, challenge, host, idempotency, intent, journal,
    revocation, room, room_event, seat, service, session_migrations, transfer, unsealed, work
FROM :"role";

-- Appended, never changed.
GRANT SELECT, INSERT ON block, journal, transfer TO :"role";

-- There is one, and it goes on.
GRANT SELECT, INSERT, UPDATE ON chain TO :"role";

-- Entries come and go. They are never updated, but without the right to it they could not be locked
-- by whoever seals them.
GRANT SELECT, INSERT, UPDATE, DELETE ON unsealed TO :"role";

GRANT SELECT, INSERT, UPDATE, DELETE ON
    account, booked_session, challenge, host, idempotency, intent, revocation, room, room_event,
    seat, service, work
TO :"role";

-- Whether the schema is current.
GRANT SELECT ON session_migrations TO :"role";

COMMIT;

-- Before PostgreSQL 15 everybody may create tables in the schema `public`. That is said, not
-- changed: others in this database may rely on it.
SELECT has_schema_privilege(:'role', :'schema', 'CREATE') AS may_create \gset
\if :may_create
    \warn 'This role may still create tables, until you'
    \warn 'REVOKE CREATE ON SCHEMA' :"schema" 'FROM PUBLIC, or from the role.'
\endif
