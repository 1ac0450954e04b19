-- An event of an account refers to it, and PostgreSQL looks up and locks what is referred to. The time
-- that this takes would tell a failed sign-in of an account from one of a name that nobody has. So an
-- event of no account refers to a row as well: to the only one of this table, which stays.
CREATE TABLE nobody (
    id TEXT NOT NULL PRIMARY KEY
);
INSERT INTO nobody (id) VALUES ('00000000-0000-0000-0000-000000000000');

-- null where there is an account, and for events from before
ALTER TABLE events ADD COLUMN nobody_id TEXT REFERENCES nobody (id);
