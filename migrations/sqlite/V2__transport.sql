-- How deliveries travel: webhook or websocket.
ALTER TABLE endpoints ADD COLUMN transport TEXT NOT NULL DEFAULT 'webhook';
