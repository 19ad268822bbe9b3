-- Attempts that may start at an endpoint in any one second; NULL for no limit.
ALTER TABLE endpoints ADD COLUMN throttle_rate INTEGER;
-- Whether it gets its events one by one, in the order of publishing. What waits for such an
-- endpoint keeps its place in `deliveries_pending` until it is finished, retries included.
ALTER TABLE endpoints ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;

-- When a delivery of an ordered endpoint is tried again: as many rows as such endpoints have
-- failed deliveries that wait, which is rarely more than one each.
CREATE TABLE ordered_retries (
    endpoint_id BLOB NOT NULL,
    message_id  BLOB NOT NULL,
    at_us       INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, message_id)
) WITHOUT ROWID, STRICT;
