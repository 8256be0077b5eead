-- Everybody's deleted keys in every order out of an index, as those that are there (see migration 12). Only the order by creation
-- had one: by name, by last use and by end every deleted key was read and sorted for each page, and they only ever get more.

CREATE INDEX keys_all_gone_by_name ON keys (folded_name, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX keys_all_gone_by_use ON keys (COALESCE(last_used_at, 0), id) WHERE deleted_at IS NOT NULL;
CREATE INDEX keys_all_gone_by_end ON keys (COALESCE(expires_at, 9223372036854775807), id) WHERE deleted_at IS NOT NULL;
