-- People: sign-ups that wait for their link to be used, and the accounts they become.
-- Instants are unix milliseconds; a nullable instant says whether as well as when.

CREATE TABLE accounts (
    id            TEXT    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    name          TEXT,
    locale        TEXT,
    -- raised to end every session of the account at once
    epoch         BIGINT  NOT NULL,
    created_at    BIGINT  NOT NULL,
    disabled_at   BIGINT
);

-- one for each address
CREATE TABLE sign_ups (
    id            TEXT    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    name          TEXT,
    locale        TEXT,
    -- set when somebody signed up again with another password
    contested_at  BIGINT,
    user_agent    TEXT,
    created_at    BIGINT  NOT NULL,
    -- when the sign-up is forgotten if no link of it was used
    expires_at    BIGINT  NOT NULL
);
CREATE INDEX sign_ups_expires_at ON sign_ups (expires_at);

-- digests of the links in letters; remembered for a while after they end, to say how they ended
CREATE TABLE links (
    digest        BLOB    NOT NULL PRIMARY KEY,
    purpose       TEXT    NOT NULL,
    sign_up_id    TEXT    NOT NULL,
    -- the account that the link made
    account_id    TEXT    REFERENCES accounts (id) ON DELETE CASCADE,
    minted_at     BIGINT  NOT NULL,
    expires_at    BIGINT  NOT NULL,
    used_at       BIGINT,
    disavowed_at  BIGINT
);
CREATE INDEX links_sign_up_id ON links (sign_up_id);
CREATE INDEX links_account_id ON links (account_id);
CREATE INDEX links_expires_at ON links (expires_at);
