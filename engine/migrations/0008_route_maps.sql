-- What a request to a service behind a proxy needs, by method and path. Every save is a version, and the newest is in force;
-- a workspace without a line here has no rules, and all is refused.
CREATE TABLE route_maps (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    version BIGINT NOT NULL,
    rules TEXT NOT NULL,
    rule_count BIGINT NOT NULL,
    source TEXT NOT NULL,
    saved_at BIGINT NOT NULL,
    saved_by TEXT NOT NULL,
    PRIMARY KEY (workspace_id, version)
);
