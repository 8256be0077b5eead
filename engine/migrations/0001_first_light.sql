-- One text for both engines. PostgreSQL reads it as it stands; for SQLite `store::migrate` replaces the type names and
-- makes every table STRICT. Times are milliseconds since the epoch, UTC.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    display_name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    instance_admin BOOLEAN NOT NULL,
    active BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE setup_tokens (
    mac BYTEA PRIMARY KEY CHECK (length(mac) = 32),
    expires_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    mac BYTEA NOT NULL UNIQUE CHECK (length(mac) = 32),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    proven_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ip TEXT
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    max_expiry_days BIGINT,
    default_expiry_days BIGINT,
    never_allowed BOOLEAN NOT NULL,
    members_may_create BOOLEAN NOT NULL,
    max_live_per_user BIGINT NOT NULL,
    max_live_per_workspace BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE memberships (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id);

-- created_by is a label that outlives the person; the owner is a reference.
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    created_by TEXT NOT NULL,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires_at BIGINT,
    inactivity_days BIGINT,
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    activated_at BIGINT,
    deactivated_at BIGINT,
    deactivated_reason TEXT,
    deleted_at BIGINT,
    last_used_at BIGINT,
    total_calls BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX keys_by_creation ON keys (workspace_id, created_at, id);
CREATE INDEX keys_by_name ON keys (workspace_id, folded_name, id);
CREATE INDEX keys_by_owner ON keys (owner_id);
CREATE INDEX keys_live ON keys (workspace_id, owner_id) WHERE deleted_at IS NULL;

CREATE TABLE secrets (
    id TEXT PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES keys (id),
    mac BYTEA NOT NULL UNIQUE CHECK (length(mac) = 32),
    pepper_id TEXT NOT NULL,
    hint TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX secrets_by_key ON secrets (key_id);

-- What a create with this Idempotency-Key made. The secret is not here and cannot be shown again.
CREATE TABLE idempotency_keys (
    actor TEXT NOT NULL,
    value TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    key_id TEXT NOT NULL REFERENCES keys (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (actor, value)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- The head of each audit chain; its row lock also puts the writers of one chain in a row.
CREATE TABLE audit_chains (
    chain TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    mac BYTEA NOT NULL CHECK (length(mac) = 32)
);

CREATE TABLE audit_events (
    chain TEXT NOT NULL,
    seq BIGINT NOT NULL,
    body TEXT NOT NULL,
    mac BYTEA NOT NULL CHECK (length(mac) = 32),
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (chain, seq)
);

-- Every change that can alter a verdict. The sequence has no gaps: its row lock is held until commit.
CREATE TABLE change_sequence (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO change_sequence (name, value) VALUES ('changes', 0);

CREATE TABLE changes (
    seq BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    at BIGINT NOT NULL
);
