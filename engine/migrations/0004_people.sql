-- People: invitations by link, links to choose a password, and the keys of those who left.

CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    mac BYTEA NOT NULL UNIQUE CHECK (length(mac) = 32),
    role TEXT NOT NULL,
    label TEXT NOT NULL,
    creator_id TEXT REFERENCES users (id),
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX invitations_by_workspace ON invitations (workspace_id, id);
CREATE INDEX invitations_by_creator ON invitations (creator_id);
CREATE INDEX invitations_by_end ON invitations (expires_at);

-- One link a person: a new one takes the place of the one before.
CREATE TABLE password_links (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    mac BYTEA NOT NULL UNIQUE CHECK (length(mac) = 32),
    expires_at BIGINT NOT NULL
);

-- The queue of keys whose owner left the workspace, until somebody decides about them.
CREATE TABLE left_keys (
    key_id TEXT PRIMARY KEY REFERENCES keys (id),
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    left_at BIGINT NOT NULL
);
CREATE INDEX left_keys_by_workspace ON left_keys (workspace_id, left_at, key_id);
CREATE INDEX left_keys_by_owner ON left_keys (workspace_id, owner_id);
