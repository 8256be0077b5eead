-- What was last told of a key's coming end: which end, and how many days before it. Both empty before anything was.
ALTER TABLE keys ADD COLUMN ending_recorded BIGINT;
ALTER TABLE keys ADD COLUMN ending_days BIGINT;
CREATE INDEX keys_by_coming_end ON keys (expires_at, created_at, ending_recorded, ending_days, id)
    WHERE deleted_at IS NULL AND deactivated_at IS NULL AND expires_at IS NOT NULL;

-- With what a session began, in a few words of ours like "Firefox on Linux", never as the browser sent it.
ALTER TABLE sessions ADD COLUMN client TEXT;

-- A deleted workspace stays as a record, and its short name stays taken.
ALTER TABLE workspaces ADD COLUMN deleted_at BIGINT;
