-- What keys can be tied to. A deleted resource stays as a record, because keys stay tied to it; its name is free again.
CREATE TABLE resources (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    owner_id TEXT NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    external_id TEXT NOT NULL,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX resources_that_exist ON resources (workspace_id, kind, external_id) WHERE deleted_at IS NULL;
CREATE INDEX resources_by_name ON resources (workspace_id, folded_name, id);
CREATE INDEX resources_by_owner ON resources (owner_id);

-- A key without a line here is tied to nothing, and may be used on everything.
CREATE TABLE key_resources (
    key_id TEXT NOT NULL REFERENCES keys (id),
    resource_id TEXT NOT NULL REFERENCES resources (id),
    PRIMARY KEY (key_id, resource_id)
);
CREATE INDEX key_resources_by_resource ON key_resources (resource_id, key_id);

-- A workspace's own scopes; those that every workspace has are in the program.
CREATE TABLE scopes (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    implies TEXT NOT NULL,
    is_public BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, name)
);
