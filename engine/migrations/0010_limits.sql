-- From where and how often keys may be used.

-- Ranges with a space between, in their one form; nothing for anywhere.
ALTER TABLE keys ADD COLUMN ip_allow TEXT;
-- A JSON list of limits; nothing for none.
ALTER TABLE keys ADD COLUMN limits TEXT;
-- The same, for all keys of a member together.
ALTER TABLE memberships ADD COLUMN limits TEXT;

-- What was spent of quotas, in groups that are free again together. Whose they are is a key's id, or a workspace's and a
-- user's with a space between.
CREATE TABLE limit_usage (
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    at BIGINT NOT NULL,
    units BIGINT NOT NULL,
    PRIMARY KEY (subject, name, at)
);
CREATE INDEX limit_usage_by_time ON limit_usage (at);
