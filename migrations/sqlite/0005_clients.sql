-- OAuth clients that were registered by the command line; others stand in the settings.

CREATE TABLE clients (
    id                    TEXT    NOT NULL PRIMARY KEY,
    grants                TEXT    NOT NULL,
    scope                 TEXT    NOT NULL,
    -- whose tokens it may introspect: own or all
    introspects           TEXT    NOT NULL,
    -- of browsers whose scripts may call the service, with spaces between them
    allowed_origins       TEXT    NOT NULL,
    -- null for a public client
    secret_digest         BLOB,
    -- works on for a while after the secret was changed
    previous_secret_digest BLOB,
    previous_secret_until BIGINT,
    -- in milliseconds; null for those in the settings
    access_ttl            BIGINT,
    refresh_idle_ttl      BIGINT,
    session_ttl           BIGINT,
    created_at            BIGINT  NOT NULL,
    disabled_at           BIGINT
);

-- when each access token was issued (RFC 7662 §2.2, `iat`); null for those from before
ALTER TABLE sessions ADD COLUMN access_issued_at BIGINT;
ALTER TABLE sessions ADD COLUMN previous_access_issued_at BIGINT;
CREATE INDEX sessions_client_id ON sessions (client_id);
