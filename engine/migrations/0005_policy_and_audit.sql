-- The instance's rules for keys. One row: what holds in a workspace is the stricter of these and its own.
CREATE TABLE instance_policy (
    name TEXT PRIMARY KEY,
    max_expiry_days BIGINT,
    default_expiry_days BIGINT,
    default_inactivity_days BIGINT,
    never_allowed BOOLEAN NOT NULL,
    members_may_create BOOLEAN NOT NULL,
    max_live_per_user BIGINT NOT NULL,
    max_live_per_workspace BIGINT NOT NULL,
    policy_version BIGINT NOT NULL
);
INSERT INTO instance_policy (name, never_allowed, members_may_create, max_live_per_user, max_live_per_workspace, policy_version)
VALUES ('instance', TRUE, TRUE, 500, 10000, 1);

ALTER TABLE workspaces ADD COLUMN default_inactivity_days BIGINT;
ALTER TABLE workspaces ADD COLUMN policy_version BIGINT NOT NULL DEFAULT 1;

-- Keys by their end, never last: who lives longer than a new cap.
CREATE INDEX keys_by_end ON keys (workspace_id, COALESCE(expires_at, 9223372036854775807), id) WHERE deleted_at IS NULL;
CREATE INDEX keys_of_all_by_end ON keys (COALESCE(expires_at, 9223372036854775807), id) WHERE deleted_at IS NULL;

-- For which end, and for which moment of going dormant, the audit log has its event. A key that is extended and expires
-- again has another end, and gets another event.
ALTER TABLE keys ADD COLUMN expiry_recorded BIGINT;
ALTER TABLE keys ADD COLUMN dormancy_recorded BIGINT;
CREATE INDEX keys_to_record_expired ON keys (expires_at, id)
    WHERE deleted_at IS NULL AND expires_at IS NOT NULL AND (expiry_recorded IS NULL OR expiry_recorded <> expires_at);
CREATE INDEX keys_with_interval ON keys (id) WHERE deleted_at IS NULL AND inactivity_days IS NOT NULL;

CREATE INDEX audit_by_actor ON audit_events (chain, actor, seq);
CREATE INDEX audit_by_object ON audit_events (chain, object, seq);
CREATE INDEX audit_by_action ON audit_events (chain, action, seq);
CREATE INDEX audit_by_time ON audit_events (chain, at, seq);
