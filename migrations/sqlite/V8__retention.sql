-- Of the deliveries that the totals count, how many have grown too old and were removed.
ALTER TABLE ledger ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;

-- In `messages`, an empty payload is one that is no longer kept: JSON is never empty.
-- The newest message may be removed too. `settings` then holds its id as `newest_message`, so
-- that ids go on growing; `seq` may start again, and only tells the order of what is stored.
