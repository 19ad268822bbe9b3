-- Sending many events of an endpoint again, in steps: what was asked for, and how far it is.
CREATE TABLE resends (
    id             BLOB PRIMARY KEY,
    endpoint_id    BLOB NOT NULL,
    application_id BLOB NOT NULL,
    environment    TEXT NOT NULL,
    kind           TEXT NOT NULL,
    since_us       INTEGER NOT NULL,
    until_us       INTEGER,
    filter         TEXT NOT NULL,     -- JSON
    through        BLOB NOT NULL,     -- the last message there was when it began
    after          BLOB NOT NULL,     -- the message that the last step came to
    state          INTEGER NOT NULL,  -- 0 running, 1 finished, 2 cancelled, 3 failed
    reason         TEXT,
    counted        INTEGER NOT NULL,
    sent           INTEGER NOT NULL,
    created_at_us  INTEGER NOT NULL,
    updated_at_us  INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX resends_by_endpoint ON resends (endpoint_id, id);
CREATE INDEX resends_by_application ON resends (application_id, id);
CREATE INDEX resends_by_environment ON resends (environment, id);
CREATE UNIQUE INDEX resends_running ON resends (endpoint_id) WHERE state = 0;
