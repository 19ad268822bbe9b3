-- What lets people into the pages: links to enter by, sessions, and tokens of portals.
CREATE TABLE passes (
    hash          BLOB PRIMARY KEY,  -- SHA-256 of its text
    kind          INTEGER NOT NULL,  -- 0 link, 1 session, 2 token
    holder        TEXT NOT NULL,     -- JSON
    expires_at_us INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX passes_by_expiry ON passes (expires_at_us);

-- The applications whose portal a pass opens.
CREATE TABLE pass_applications (
    application_id BLOB NOT NULL,
    hash           BLOB NOT NULL,
    PRIMARY KEY (application_id, hash)
) WITHOUT ROWID, STRICT;
CREATE INDEX pass_applications_by_pass ON pass_applications (hash);
CREATE TRIGGER passes_deleted AFTER DELETE ON passes BEGIN
    DELETE FROM pass_applications WHERE hash = OLD.hash;
END;

-- How many attempts at an endpoint's deliveries ended how, hour by hour, for a few days.
CREATE TABLE endpoint_hours (
    endpoint_id BLOB NOT NULL,
    hour        INTEGER NOT NULL,  -- since the epoch
    succeeded   INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, hour)
) WITHOUT ROWID, STRICT;
CREATE INDEX endpoint_hours_by_age ON endpoint_hours (hour);

-- What happened in an environment, minute by minute, for some hours.
CREATE TABLE environment_minutes (
    environment TEXT NOT NULL,
    minute      INTEGER NOT NULL,  -- since the epoch
    measure     INTEGER NOT NULL,  -- 0 events, 1 attempts succeeded, 2 failed, 3 and up: by latency
    count       INTEGER NOT NULL,
    PRIMARY KEY (environment, minute, measure)
) WITHOUT ROWID, STRICT;

-- The few that a rule has paused.
CREATE INDEX endpoints_paused ON endpoints (environment, state_at_us)
    WHERE state = 1 AND deleted_at_us IS NULL;
