-- The life of an account: links to it, a change of its address, its own pages, and what happened.

-- A change of address waits until its link is used. One at a time for each account; it is pending
-- while none of the three instants is set.
CREATE TABLE email_changes (
    id           TEXT    NOT NULL PRIMARY KEY,
    account_id   TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- the new address
    email        TEXT    NOT NULL,
    user_agent   TEXT,
    requested_at BIGINT  NOT NULL,
    confirmed_at BIGINT,
    -- by the link in the letter to the old address, or by the owner, signed in
    stopped_at   BIGINT,
    -- by another change, or a new password
    voided_at    BIGINT
);
CREATE UNIQUE INDEX email_changes_pending ON email_changes (account_id)
    WHERE confirmed_at IS NULL AND stopped_at IS NULL AND voided_at IS NULL;
CREATE INDEX email_changes_account_id ON email_changes (account_id);
CREATE INDEX email_changes_requested_at ON email_changes (requested_at);

-- digests of the links in letters to the owners of accounts; remembered like those of sign-ups
CREATE TABLE account_links (
    digest          BYTEA   NOT NULL PRIMARY KEY,
    purpose         TEXT    NOT NULL,
    account_id      TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    email_change_id TEXT    REFERENCES email_changes (id) ON DELETE CASCADE,
    minted_at       BIGINT  NOT NULL,
    expires_at      BIGINT  NOT NULL,
    used_at         BIGINT,
    voided_at       BIGINT
);
CREATE INDEX account_links_account_id ON account_links (account_id);
CREATE INDEX account_links_email_change_id ON account_links (email_change_id);
CREATE INDEX account_links_expires_at ON account_links (expires_at);

-- sign-ins at the account page; the cookie's secret is kept as a digest
CREATE TABLE page_sessions (
    digest          BYTEA   NOT NULL PRIMARY KEY,
    -- by which its owner names it, and nobody can use it
    id              TEXT    NOT NULL UNIQUE,
    account_id      TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- the account's epoch at sign-in; the session is dead when they differ
    epoch           BIGINT  NOT NULL,
    user_agent      TEXT,
    created_at      BIGINT  NOT NULL,
    idle_expires_at BIGINT  NOT NULL,
    expires_at      BIGINT  NOT NULL
);
CREATE INDEX page_sessions_account_id ON page_sessions (account_id);
CREATE INDEX page_sessions_expires_at ON page_sessions (expires_at);
CREATE INDEX page_sessions_idle_expires_at ON page_sessions (idle_expires_at);

-- What happened. Rows are added and, when their time is over, removed; none is ever rewritten, but
-- for what concerned a sign-up and then concerns the account that it became.
CREATE TABLE events (
    id         TEXT    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    -- owner, client, operator, stranger, or the service itself
    actor      TEXT    NOT NULL,
    at         BIGINT  NOT NULL,
    account_id TEXT    REFERENCES accounts (id) ON DELETE CASCADE,
    sign_up_id TEXT,
    session_id TEXT,
    client_id  TEXT,
    -- where the request came from, as far as the settings let it be kept
    address    TEXT,
    user_agent TEXT,
    request_id TEXT
);
CREATE INDEX events_account_id ON events (account_id, id);
CREATE INDEX events_sign_up_id ON events (sign_up_id);
CREATE INDEX events_at ON events (at);

-- whom a letter is about, so that it goes with the account
ALTER TABLE outbox ADD COLUMN account_id TEXT REFERENCES accounts (id) ON DELETE CASCADE;
CREATE INDEX outbox_account_id ON outbox (account_id);

-- When letters left to an address, by its digest: for the limit of an hour, which nobody gets round by
-- having the letters forgotten. Removed when the hour is over.
CREATE TABLE letters_sent (
    digest  BYTEA NOT NULL,
    sent_at BIGINT NOT NULL
);
CREATE INDEX letters_sent_digest ON letters_sent (digest, sent_at);
CREATE INDEX letters_sent_sent_at ON letters_sent (sent_at);
