-- Letters to be sent. Neither a live link nor a rendered body ever stands here.

CREATE TABLE outbox (
    id           TEXT    NOT NULL PRIMARY KEY,
    kind         TEXT    NOT NULL,
    email        TEXT    NOT NULL,
    locale       TEXT,
    -- what the letter tells, as JSON; nothing secret
    facts        TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    -- not to be tried before
    due_at       BIGINT  NOT NULL,
    tries        BIGINT  NOT NULL,
    -- who is sending it, and until when nobody else may
    lease        TEXT,
    leased_until BIGINT,
    sent_at      BIGINT,
    -- given up, or found to have nobody to go to
    dead_at      BIGINT,
    last_error   TEXT
);
CREATE INDEX outbox_due_at ON outbox (due_at) WHERE sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_email_sent_at ON outbox (email, sent_at);
CREATE INDEX outbox_lease ON outbox (lease);
