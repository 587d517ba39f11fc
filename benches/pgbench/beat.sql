-- One heartbeat as one statement: the seat, the account that pays, the transfer.
-- It need not know the seat's version beforehand, which is in its favour.
\set n random(:first, :last)
WITH sat AS (
    UPDATE seat SET last_seen_at = extract(epoch FROM now())::bigint,
        metered_to = metered_to + 1, charged = charged + 1, lease_until = lease_until,
        low_raised = low_raised, exhausted_at = exhausted_at, undelivered = undelivered,
        version = version + 1
    WHERE connection = '00000000-0000-4000-8000-00' || :n::text
        AND wallet = '0x000000000000000000000000000000' || :n::text
        AND gone_at IS NULL
    RETURNING connection, wallet, version
), paid AS (
    UPDATE account SET debits_posted = debits_posted + 1, version = account.version + 1
    FROM sat
    WHERE account.kind = 'wallet' AND account.unit = 'seconds' AND account.owner = sat.wallet
        AND credits_posted - debits_posted - debits_pending >= 1
    RETURNING sat.connection, sat.wallet, sat.version
)
INSERT INTO transfer (id, debit_kind, debit_owner, credit_kind, credit_owner, unit, amount,
    action, reason, connection, decided_at)
SELECT md5(connection || version::text), 'wallet', wallet, 'revenue', 'house', 'seconds', 1,
    'posted', 'debit_usage', connection, extract(epoch FROM now())::bigint
FROM paid
RETURNING amount;
