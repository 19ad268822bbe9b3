-- Whole groups of event types that an endpoint takes. With `event_types` NULL it takes only
-- these; NULL in both: all events.
ALTER TABLE endpoints ADD COLUMN event_groups TEXT;

-- The group of the event's type when it was published.
ALTER TABLE messages ADD COLUMN event_group TEXT;
-- Whether it is a catalog's example, sent to try endpoints out.
ALTER TABLE messages ADD COLUMN test INTEGER NOT NULL DEFAULT 0;
