-- Due letters, by whether they were refused before; and by the domain of their recipient, too, so that a claim can leave
-- out domains without reading their letters. The domain follows the only '@'.
CREATE INDEX outbox_refused_due_at ON outbox ((CASE WHEN tries > 0 THEN 1 ELSE 0 END), due_at, id)
    WHERE sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_refused_domain ON outbox (
        (CASE WHEN tries > 0 THEN 1 ELSE 0 END),
        (SUBSTR(email, LENGTH(RTRIM(email, REPLACE(email, '@', ''))) + 1)),
        due_at, id)
    WHERE sent_at IS NULL AND dead_at IS NULL;
