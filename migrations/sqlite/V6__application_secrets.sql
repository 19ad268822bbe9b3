-- Signing secrets that all endpoints of an application share, where its contract wants that.
-- Sealed for the application's id. Endpoints without secrets of their own sign with these.
ALTER TABLE applications ADD COLUMN confidential BLOB;
