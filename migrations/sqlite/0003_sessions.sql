-- One row for each sign-in; refreshing changes the row. Of every secret only a digest is kept.

CREATE TABLE sessions (
    id                         TEXT    NOT NULL PRIMARY KEY,
    account_id                 TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    client_id                  TEXT    NOT NULL,
    scope                      TEXT    NOT NULL,
    -- the account's epoch at sign-in; the session is dead when they differ
    epoch                      BIGINT  NOT NULL,
    created_at                 BIGINT  NOT NULL,
    last_used_at               BIGINT  NOT NULL,
    user_agent                 TEXT,
    idle_expires_at            BIGINT  NOT NULL,
    expires_at                 BIGINT  NOT NULL,

    -- the same in every refresh token of the session
    tag_digest                 BLOB    NOT NULL,
    -- fresh at every rotation: the live pair follows from it and the preceding refresh token
    salt                       BLOB    NOT NULL,
    refresh_digest             BLOB    NOT NULL,
    previous_refresh_digest    BLOB,
    rotated_at                 BIGINT  NOT NULL,
    -- when the live pair was first seen in use
    first_used_at              BIGINT,

    -- counts access tokens; those from rotation_serial on belong to the live pair
    access_serial              BIGINT  NOT NULL,
    rotation_serial            BIGINT  NOT NULL,
    -- null once it was revoked
    access_digest              BLOB,
    access_scope               TEXT    NOT NULL,
    access_expires_at          BIGINT  NOT NULL,
    previous_access_serial     BIGINT,
    previous_access_digest     BLOB,
    previous_access_scope      TEXT,
    previous_access_expires_at BIGINT
);
CREATE INDEX sessions_account_id ON sessions (account_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
CREATE INDEX sessions_idle_expires_at ON sessions (idle_expires_at);
