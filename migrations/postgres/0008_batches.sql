-- What an account or a stranger leaves behind is bounded, and goes in batches.

-- When the account was deleted: it is unusable from then on, its address is free, and what still belongs
-- to it goes in batches, the row last.
ALTER TABLE accounts ADD COLUMN deleted_at BIGINT;
CREATE INDEX accounts_deleted_at ON accounts (deleted_at) WHERE deleted_at IS NOT NULL;

-- The latest events of a kind: of an account, of a waiting sign-up, and of neither.
CREATE INDEX events_account_id_kind ON events (account_id, kind, id) WHERE account_id IS NOT NULL;
CREATE INDEX events_sign_up_id_kind ON events (sign_up_id, kind, id)
    WHERE account_id IS NULL AND sign_up_id IS NOT NULL;
CREATE INDEX events_kind ON events (kind, id) WHERE account_id IS NULL AND sign_up_id IS NULL;
DROP INDEX events_sign_up_id;

-- Letters that were sent or given up long ago.
CREATE INDEX outbox_sent_at ON outbox (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX outbox_dead_at ON outbox (dead_at) WHERE dead_at IS NOT NULL;
