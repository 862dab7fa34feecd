"""`stayd backup` against a real PostgreSQL: what is PostgreSQL's alone."""

import json
import os

import pytest

from lib.postgres import PostgresServer


@pytest.fixture
def database(start_database):
    return start_database(PostgresServer)


# As version 1 of the schema was.
FIRST_SCHEMA = r"""
SET ROLE stayd;
CREATE SCHEMA stayd;
CREATE TABLE stayd.meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL,
  id text NOT NULL, era integer NOT NULL CHECK (era BETWEEN 1 AND 32767), home text NOT NULL);
CREATE TABLE stayd.rows (key bytea PRIMARY KEY, incarnation bigint NOT NULL, state smallint NOT NULL,
  confirmed boolean NOT NULL, hlc bigint NOT NULL, touched_hlc bigint NOT NULL,
  expires_at_ms bigint NOT NULL, created_at_ms bigint NOT NULL, tomb_until_ms bigint NOT NULL,
  change bigint NOT NULL, origin bytea NOT NULL, value bytea);
CREATE INDEX rows_change ON stayd.rows (change, key);
INSERT INTO stayd.meta (version, id, era, home) VALUES (1, 'first', 1, 'elsewhere');
INSERT INTO stayd.rows SELECT '\x00'::bytea || key::bytea, 0, 1, confirmed, 7, 0, 0, 0, 0, 5, origin,
  '\x010174657874' FROM (VALUES ('a', true, '18446744073709551615'::bytea), ('b', false, '0'),
  ('c', true, '99999999999999999999'), ('d', true, 'host-1'), ('e', true, '\xff')) AS r(key, confirmed, origin);
"""


def test_an_older_schema_is_upgraded(backup, database):
    database.sql(FIRST_SCHEMA, "sessions")
    code, out, err = backup("stats")
    assert code == 1 and "version 1" in err and 'run "stayd backup init"' in err, err
    assert backup("init") == (0, "the schema stayd has been upgraded\n", "")
    code, out, err = backup("init")
    assert code == 0 and "already" in out, err
    rows = {key: json.loads(backup("get", key, "--json")[1]) for key in "abcde"}
    assert {row["value"] for row in rows.values()} == {"text"}
    assert [rows[key]["origin"] for key in "abcde"] == [2**64 - 1, 0, 2**64 - 1, 0, 0]
    assert (rows["a"]["through_redis"], rows["b"]["through_redis"]) == (True, False)
    assert database.sql("SELECT id FROM stayd.meta", "sessions") == "first"
    columns = "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
    columns += "WHERE table_schema = 'stayd' ORDER BY 1, 2"
    upgraded = database.sql(columns, "sessions")
    database.sql("DROP SCHEMA stayd CASCADE", "sessions")
    backup("init")
    assert database.sql(columns, "sessions") == upgraded


def test_a_role_without_rights_is_told_so(backup, database):
    backup("init")
    database.sql("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    os.environ["PGPASSWORD"] = "guest"
    try:
        code, out, err = backup("stats", url=database.url(user="guest"), options=())
    finally:
        del os.environ["PGPASSWORD"]
    assert code == 1 and "permission denied" in err and "docs/operating.md" in err, err
