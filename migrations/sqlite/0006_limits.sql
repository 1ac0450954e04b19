-- What limits guessing at passwords, where all nodes see it. Digests only: no address of a person and
-- none of a network stands here.

-- Wrong passwords in a row, for a name that was typed, known or not; or for one at a known place.
-- Forgotten long after the last.
CREATE TABLE guesses (
    digest   BLOB   NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at  BIGINT NOT NULL
);
CREATE INDEX guesses_last_at ON guesses (last_at);

-- Wrong passwords that came from a network: each moves the instant at which all of them are forgotten.
CREATE TABLE networks (
    digest      BLOB   NOT NULL PRIMARY KEY,
    spent_until BIGINT NOT NULL
);
CREATE INDEX networks_spent_until ON networks (spent_until);

-- Networks that somebody has signed in from: what strangers do elsewhere is no matter there.
CREATE TABLE places (
    -- of the name and the network; that of the place's row in guesses, too
    digest       BLOB   NOT NULL PRIMARY KEY,
    account_id   TEXT   NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX places_account_id ON places (account_id, last_used_at);
CREATE INDEX places_last_used_at ON places (last_used_at);
