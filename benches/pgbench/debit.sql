-- One guarded debit as one statement: the account that pays if it can, and the transfer.
\set n random(:first, :last)
WITH paid AS (
    UPDATE account SET debits_posted = debits_posted + 1, version = version + 1
    WHERE kind = 'wallet' AND unit = 'seconds'
        AND owner = '0x000000000000000000000000000000' || :n::text
        AND credits_posted - debits_posted - debits_pending >= 1
    RETURNING owner, version
)
INSERT INTO transfer (id, debit_kind, debit_owner, credit_kind, credit_owner, unit, amount,
    action, reason, connection, decided_at)
SELECT md5(owner || version::text), 'wallet', owner, 'revenue', 'house', 'seconds', 1,
    'posted', 'debit_usage', NULL, extract(epoch FROM now())::bigint
FROM paid
RETURNING amount;
