-- Letters of a kind that wait for an address: found without those of other kinds that wait for it.
CREATE INDEX outbox_email_kind ON outbox (email, kind, id) WHERE sent_at IS NULL AND dead_at IS NULL;
