-- Lists of an account's sign-ins are read page by page, by id, which sorts by time.

CREATE INDEX sessions_account_id_id ON sessions (account_id, id);
DROP INDEX sessions_account_id;
CREATE INDEX page_sessions_account_id_id ON page_sessions (account_id, id);
DROP INDEX page_sessions_account_id;
