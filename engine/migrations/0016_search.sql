-- A part of a name is found in an index of all pieces of three characters, and not by looking at every name.

/* PostgreSQL: */
-- pg_trgm comes with PostgreSQL, and since 13 whoever may create things in the database may add it. Where it is missing or
-- forbidden, searches look at every name, and `keyfold doctor` says what to do.
DO $$
BEGIN
    -- In a schema of Keyfold's it would go away with that schema, and take the indexes of others along.
    CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'searches look at every name: %', SQLERRM;
END $$;
DO $$
DECLARE place TEXT := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm');
BEGIN
    IF place IS NOT NULL THEN
        -- What was not sorted in yet is read at each search: little of it, so.
        EXECUTE format('CREATE INDEX keys_by_part_of_name ON keys USING gin (folded_name %I.gin_trgm_ops) WITH (gin_pending_list_limit = 256)', place);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'searches look at every name: %', SQLERRM;
END $$;
/* end */

/* SQLite:
-- Under this number a name is in the index of pieces; NULL as long as it waits for that, see `store::names`. Numbers have the
-- order of the creations: the upper bits are `created_at`, the lower 20 count the keys of one millisecond.
ALTER TABLE keys ADD COLUMN search_number BIGINT;
CREATE UNIQUE INDEX keys_by_search_number ON keys (search_number) WHERE search_number IS NOT NULL;
CREATE INDEX keys_unnumbered ON keys (created_at, id, folded_name) WHERE search_number IS NULL;

-- Pieces alone, without their places and without the names: which names hold a piece is asked, and the names are looked at.
CREATE VIRTUAL TABLE key_names USING fts5 (folded_name, content = '', detail = none, columnsize = 0, tokenize = 'trigram case_sensitive 1');
-- The same by piece, for searches that are shorter than one.
CREATE VIRTUAL TABLE key_name_pieces USING fts5vocab (key_names, instance);

-- A name that changes or goes leaves the index in the same moment.
CREATE TRIGGER keys_renamed AFTER UPDATE OF folded_name, created_at ON keys
WHEN OLD.search_number IS NOT NULL AND (OLD.folded_name <> NEW.folded_name OR OLD.created_at <> NEW.created_at)
BEGIN
    INSERT INTO key_names (key_names, rowid, folded_name) VALUES ('delete', OLD.search_number, OLD.folded_name || char(1, 1));
    UPDATE keys SET search_number = NULL WHERE id = NEW.id;
END;
CREATE TRIGGER keys_removed AFTER DELETE ON keys WHEN OLD.search_number IS NOT NULL
BEGIN
    INSERT INTO key_names (key_names, rowid, folded_name) VALUES ('delete', OLD.search_number, OLD.folded_name || char(1, 1));
END;
 */
