-- Ids are UUIDv7 as 16 bytes, so they sort by age. Times are microseconds since the epoch.
-- Lists and maps are JSON. Integrity is kept by the transitions, not by foreign keys.

CREATE TABLE settings (
    -- key_check: a known text sealed with the master key.
    -- lease_epoch: leases of an earlier epoch are void.
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE api_keys (
    id             BLOB PRIMARY KEY,
    name           TEXT NOT NULL,
    environment    TEXT,           -- NULL: an admin's key, for every environment
    application_id BLOB,           -- NULL: for the whole environment
    hash           BLOB NOT NULL UNIQUE,
    created_at_us  INTEGER NOT NULL,
    revoked_at_us  INTEGER
) WITHOUT ROWID, STRICT;

CREATE TABLE applications (
    id            BLOB PRIMARY KEY,
    environment   TEXT NOT NULL,
    uid           TEXT,
    name          TEXT NOT NULL,
    metadata      TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    deleted_at_us INTEGER
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX applications_by_uid ON applications (environment, uid)
    WHERE uid IS NOT NULL AND deleted_at_us IS NULL;
CREATE INDEX applications_by_environment ON applications (environment, id)
    WHERE deleted_at_us IS NULL;

CREATE TABLE event_types (
    environment   TEXT NOT NULL,
    name          TEXT NOT NULL,
    group_name    TEXT,
    title         TEXT,
    description   TEXT NOT NULL,
    schema        TEXT,
    example       TEXT,
    archived      INTEGER NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    PRIMARY KEY (environment, name)
) WITHOUT ROWID, STRICT;

CREATE TABLE endpoints (
    id             BLOB PRIMARY KEY,
    application_id BLOB NOT NULL,
    environment    TEXT NOT NULL,
    uid            TEXT,
    name           TEXT NOT NULL,
    description    TEXT NOT NULL,
    url            TEXT NOT NULL,
    method         TEXT NOT NULL,
    event_types    TEXT,           -- NULL: all of them
    channels       TEXT,           -- NULL: all of them
    metadata       TEXT NOT NULL,
    state          INTEGER NOT NULL,  -- 0 enabled, 1 paused, 2 disabled
    state_at_us    INTEGER,
    state_reason   TEXT,
    confidential   BLOB,           -- sealed: authentication, custom headers, signing secrets
    revision       INTEGER NOT NULL,
    created_at_us  INTEGER NOT NULL,
    updated_at_us  INTEGER NOT NULL,
    deleted_at_us  INTEGER
) STRICT;
CREATE INDEX endpoints_by_application ON endpoints (application_id, id);
CREATE UNIQUE INDEX endpoints_by_uid ON endpoints (application_id, uid)
    WHERE uid IS NOT NULL AND deleted_at_us IS NULL;

-- Only of endpoints that failed lately.
CREATE TABLE endpoint_health (
    endpoint_id BLOB PRIMARY KEY,
    health      TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE messages (
    -- Without gaps and in the order of commits, so that a reader with a cursor misses
    -- nothing. It stays so as long as the newest row is never deleted.
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL,
    application_id BLOB NOT NULL,
    event_type     TEXT NOT NULL,
    event_id       TEXT,
    payload        TEXT NOT NULL,  -- the bytes that came
    channels       TEXT,
    tags           TEXT,
    created_at_us  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_by_application ON messages (application_id, id);
CREATE UNIQUE INDEX messages_by_event_id ON messages (application_id, event_id)
    WHERE event_id IS NOT NULL;

CREATE TABLE deliveries (
    message_id      BLOB NOT NULL,
    endpoint_id     BLOB NOT NULL,
    state           INTEGER NOT NULL,  -- 0 pending, 1 succeeded, 2 failed, 3 discarded
    attempts        INTEGER NOT NULL,
    failed_in_round INTEGER NOT NULL,
    manual          INTEGER NOT NULL,  -- whether a person asked for the next attempt
    next_at_us      INTEGER NOT NULL,
    lease_epoch     INTEGER,
    lease_node      BLOB,
    lease_until_us  INTEGER,
    PRIMARY KEY (message_id, endpoint_id)
) WITHOUT ROWID, STRICT;
-- An endpoint's queue. It holds what is pending and nothing else.
CREATE INDEX deliveries_pending ON deliveries (endpoint_id, next_at_us, message_id)
    WHERE state = 0;

CREATE TABLE attempts (
    message_id     BLOB NOT NULL,
    id             BLOB NOT NULL,
    endpoint_id    BLOB NOT NULL,
    number         INTEGER NOT NULL,
    manual         INTEGER NOT NULL,
    url            TEXT NOT NULL,
    started_at_us  INTEGER NOT NULL,
    duration_us    INTEGER NOT NULL,
    resolve_us     INTEGER NOT NULL,
    connect_us     INTEGER NOT NULL,
    tls_us         INTEGER NOT NULL,
    wait_us        INTEGER NOT NULL,
    receive_us     INTEGER NOT NULL,
    status         INTEGER,        -- NULL: there was no answer
    headers        TEXT,
    body           BLOB,
    truncated      INTEGER NOT NULL,
    retry_after_us INTEGER,
    failure        TEXT,
    succeeded      INTEGER NOT NULL,
    PRIMARY KEY (message_id, id)
) WITHOUT ROWID, STRICT;
-- With what lists filter by, so that skipping a row doesn't have to fetch it.
CREATE INDEX attempts_by_endpoint ON attempts (endpoint_id, id, status, succeeded);

-- Running totals. What is pending is counted from the rows.
CREATE TABLE ledger (
    application_id BLOB PRIMARY KEY,
    accepted       INTEGER NOT NULL,
    succeeded      INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    discarded      INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
