-- Lists that stay fast with very many keys, and acts on many keys at once.
--
-- A page is found in an index alone: each order has one for the keys that are there and one for the deleted ones, which
-- pile up. The columns after the id are there to be looked at, not to be searched: every filter is decided by them, so that
-- one which matches next to nothing costs a walk along the index and not a visit to every row. What stands in
-- SQLite's marks is for that engine: PostgreSQL bounds the size of an entry, and a key may hold many scopes.

DROP INDEX keys_by_creation;
DROP INDEX keys_by_name;
DROP INDEX keys_by_owner;
-- The one below begins with the same columns.
DROP INDEX keys_by_end;

CREATE INDEX keys_live_by_creation ON keys (workspace_id, created_at, id,
    folded_name, owner_id, kind, deactivated_at, expires_at, inactivity_days, activated_at, last_used_at /* SQLite: , scopes */)
    WHERE deleted_at IS NULL;
CREATE INDEX keys_live_by_name ON keys (workspace_id, folded_name, id,
    owner_id, kind, deactivated_at, expires_at, inactivity_days, created_at, activated_at, last_used_at /* SQLite: , scopes */)
    WHERE deleted_at IS NULL;
CREATE INDEX keys_live_by_use ON keys (workspace_id, COALESCE(last_used_at, 0), id,
    folded_name, owner_id, kind, deactivated_at, expires_at, inactivity_days, created_at, activated_at, last_used_at /* SQLite: , scopes */)
    WHERE deleted_at IS NULL;
CREATE INDEX keys_live_by_end ON keys (workspace_id, COALESCE(expires_at, 9223372036854775807), id,
    folded_name, owner_id, kind, deactivated_at, expires_at, inactivity_days, created_at, activated_at, last_used_at /* SQLite: , scopes */)
    WHERE deleted_at IS NULL;
CREATE INDEX keys_gone_by_creation ON keys (workspace_id, created_at, id, folded_name, owner_id)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX keys_gone_by_name ON keys (workspace_id, folded_name, id, owner_id)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX keys_gone_by_use ON keys (workspace_id, COALESCE(last_used_at, 0), id, folded_name, owner_id)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX keys_gone_by_end ON keys (workspace_id, COALESCE(expires_at, 9223372036854775807), id, folded_name, owner_id)
    WHERE deleted_at IS NOT NULL;

-- One person's keys, in one workspace or in all. There are few of them.
CREATE INDEX keys_live_by_owner ON keys (owner_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX keys_gone_by_owner ON keys (owner_id, created_at, id) WHERE deleted_at IS NOT NULL;

-- Everybody's keys, for an administrator of the instance.
CREATE INDEX keys_all_live ON keys (created_at, id, workspace_id,
    folded_name, owner_id, kind, deactivated_at, expires_at, inactivity_days, activated_at, last_used_at /* SQLite: , scopes */)
    WHERE deleted_at IS NULL;
CREATE INDEX keys_all_live_by_name ON keys (folded_name, id) WHERE deleted_at IS NULL;
CREATE INDEX keys_all_live_by_use ON keys (COALESCE(last_used_at, 0), id) WHERE deleted_at IS NULL;
CREATE INDEX keys_all_gone ON keys (created_at, id, workspace_id, folded_name, owner_id) WHERE deleted_at IS NOT NULL;

-- A search by the end of a secret.
CREATE INDEX secrets_by_hint ON secrets (hint, key_id);

-- Acts on many keys: what was asked for and how far it came. The workspace is NULL for an act across all of them.
CREATE TABLE bulk_acts (
    id TEXT PRIMARY KEY,
    workspace_id TEXT REFERENCES workspaces (id),
    actor TEXT NOT NULL,
    started_by TEXT NOT NULL,
    act TEXT NOT NULL,
    state TEXT NOT NULL,
    expected BIGINT NOT NULL,
    done BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    why TEXT,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX bulk_acts_by_age ON bulk_acts (updated_at);

-- What became of each key. The name is as it was then.
CREATE TABLE bulk_results (
    bulk_id TEXT NOT NULL REFERENCES bulk_acts (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    outcome TEXT NOT NULL,
    why TEXT,
    PRIMARY KEY (bulk_id, seq)
);
