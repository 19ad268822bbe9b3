-- What happened to an endpoint, and why. Written in the transaction of the change; of each
-- endpoint the newest entries are kept.
CREATE TABLE endpoint_history (
    endpoint_id  BLOB NOT NULL,
    id           BLOB NOT NULL,
    at_us        INTEGER NOT NULL,
    event        TEXT NOT NULL,
    actor        TEXT NOT NULL,
    reason       TEXT,
    last_failure TEXT,
    PRIMARY KEY (endpoint_id, id)
) WITHOUT ROWID, STRICT;
