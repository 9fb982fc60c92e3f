"""A user's SQL reads, inside its limits, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from polyhouse.errors import BadInputError
from polyhouse.warehouse.guard import check_user_sql
from polyhouse.warehouse.lexer import split_statements, tokens


def run(warehouse, sql, max_rows=100, timeout_seconds=5.0, **options):
    return warehouse.query_readonly(sql, max_rows=max_rows, timeout_seconds=timeout_seconds, **options)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS a",
        "  ( select 1 AS a ) ;  -- done;",
        "WITH 1 AS x SELECT x AS a",
        "/* ; */ SELECT count() AS a FROM numbers(1) # ;",
        "FROM numbers(1, 1) SELECT number AS a",
        "SELECT toUInt8(length(splitByChar(';', 'file(;INTO OUTFILE')) = 2) AS a",
    ],
)
def test_reading_statements_run(warehouse, sql):
    result = run(warehouse, sql)
    assert (result.columns, result.rows, result.truncated) == (("a",), [(1,)], False)


@pytest.mark.parametrize("end", ["", ";", " -- done", " /* x */ ; ", " LIMIT 0", " limit 0;"])
def test_an_empty_answer_still_names_its_columns(warehouse, end):
    result = run(warehouse, "SELECT wallet, ts AS moment FROM vw_observations" + end)
    assert (result.columns, result.rows) == (("wallet", "moment"), [])


def test_tables_can_be_listed_described_and_explained(warehouse):
    assert ("vw_positions",) in run(warehouse, "SHOW TABLES", max_rows=1_000).rows
    assert run(warehouse, "DESCRIBE TABLE vw_markets").rows[0][0] == "condition_id"
    assert run(warehouse, "EXPLAIN SELECT * FROM observations_current").rows
    assert "ReplacingMergeTree" in run(warehouse, "SHOW CREATE TABLE observations").rows[0][0]


def test_values_have_the_types_of_their_meaning(warehouse, fills):
    warehouse.write("observations", fills(1), run=1, token="a")
    row = run(warehouse, "SELECT wallet, ts, shares, kind FROM vw_observations").rows[0]
    assert row == ("0x" + "00" * 20, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), Decimal("12.5"), "BUY")
    assert row[1].tzinfo is not None
    assert run(warehouse, "SELECT wallet, condition FROM observations").rows == [(bytes(20), b"\xff" * 32)]


REFUSED = [
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT file('/etc/hostname')",
    "SELECT `file`('/etc/hostname')",
    "SELECT \"file\" /* x */ ('/etc/hostname')",
    "SELECT FILE\n('/etc/hostname')",
    "EXPLAIN SELECT file('/etc/hostname')",
    "DESCRIBE TABLE file('/etc/hostname')",
    "DESCRIBE (SELECT file('/etc/hostname'))",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT * FROM view(SELECT file('/etc/hostname'))",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/x.csv', 'CSV')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM sqlite('state.db', 'runs')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM Python(x)",
    "SELECT * FROM mergeTreeIndex(currentDatabase(), 'observations')",
    "SELECT aiGenerate('x')",
    "SELECT AIGenerate('x')",
    "SELECT sleep(1)",
    "SELECT 1 INTO OUTFILE 'out.txt'",
    "SELECT 1 into /* */ outfile 'out.txt'",
    "SELECT 1 FORMAT CSV",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT * FROM (SELECT 1 SETTINGS max_threads = 1)",
    "SET readonly = 0",
    "INSERT INTO tokens (outcome) VALUES (1)",
    "INSERT INTO FUNCTION file('out.csv') SELECT 1",
    "ALTER TABLE tokens DELETE WHERE 1",
    "DROP TABLE tokens",
    "TRUNCATE TABLE tokens",
    "CREATE TEMPORARY TABLE t (a Int8)",
    "SYSTEM FLUSH LOGS",
    "OPTIMIZE TABLE tokens",
    "KILL QUERY WHERE 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE tokens",
    "SELECT 'unfinished",
    "SELECT 1 /* unfinished",
    "SELECT * FROM `unfinished",
    "EXPLAIN INSERT INTO tokens (outcome) VALUES (1)",
    "WITH x AS (SELECT 1) INSERT INTO tokens (outcome) SELECT 1",
    "",
    " ; ",
    "-- only a comment",
    "SELECT nonsense FROM nowhere",
    # The engine reads white space without width, round quotes and comments inside comments; others do not.
    "SELECT file\u200b('/etc/hostname')",
    "SELECT file\ufeff('/etc/hostname')",
    "SELECT file\u00a0('/etc/hostname')",
    "SELECT \u201cfile\u201d('/etc/hostname')",
    "SELECT /* /* */ ' */ file('/etc/hostname') --'",
    "SELECT 1 \u2212\u2212 file('/etc/hostname')",
    "SELECT file\0('/etc/hostname')",
    # Called without a parenthesis behind the name.
    "SELECT arrayMap(file, ['/etc/hostname'])",
    "SELECT arrayMap(`file`, ['/etc/hostname'])",
    "SELECT * APPLY file FROM (SELECT '/etc/hostname' AS x)",
    "SELECT * APPLY(file) FROM (SELECT '/etc/hostname' AS x)",
    "SELECT COLUMNS('x') APPLY file FROM (SELECT '/etc/hostname' AS x)",
    "SELECT * APPLY (x -> file(x)) FROM (SELECT '/etc/hostname' AS x)",
    # What the engine tells about itself.
    "SELECT * FROM system.settings",
    "SELECT * FROM system . `server_settings`",
    'SELECT * FROM "system"."disks"',
    "SELECT data_paths FROM system.tables",
    "SELECT 1 IN system.users",
    "DESCRIBE TABLE system.named_collections",
    "EXPLAIN SELECT * FROM system.parts",
    "SELECT getServerSetting('max_concurrent_queries')",
    "SELECT arrayMap(getMacro, ['shard'])",
    "SHOW SETTINGS LIKE '%'",
    "SHOW PROCESSLIST",
    "SHOW GRANTS",
    "SHOW CREATE USER default",
    "SHOW CREATE SETTINGS PROFILE default",
    "SHOW",
    "SELECT",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_everything_else_is_refused(warehouse, tmp_path, monkeypatch, sql):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError):
        run(warehouse, sql)
    assert list(tmp_path.iterdir()) == []
    assert warehouse.query("SELECT count() FROM tokens").rows == [(0,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM sqlite('state.db', 'runs')",
        "INSERT INTO tokens (outcome) VALUES (1)",
        "SET readonly = 0",
        "SET max_result_rows = 0",
        "DROP TABLE tokens",
        "SELECT 1 SETTINGS max_execution_time = 100",
    ],
)
def test_the_engine_refuses_by_itself_what_the_text_check_would_miss(warehouse, monkeypatch, sql):
    for fence in ("check_user_sql", "_check_tree"):
        monkeypatch.setattr(f"polyhouse.warehouse.guard.{fence}", lambda *_: None)
    with pytest.raises(BadInputError, match=r"Only reading is allowed here|readonly"):
        run(warehouse, sql)


def test_names_that_only_look_dangerous_are_fine(warehouse):
    sql = "SELECT count() AS settings, 'x' AS url, 1 AS file, max(number) AS format FROM numbers(3)"
    assert run(warehouse, sql).rows == [(3, "x", 1, 2)]
    assert run(warehouse, "SELECT 'file(“x”)', `system`, x.file FROM (SELECT 1 AS system, 2 AS file) AS x").rows
    assert run(warehouse, "SELECT count() > 0 FROM system.columns WHERE table = 'tokens'").rows[0][0] == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT file('/etc/hostname')",
        "SELECT \u201cfile\u201d('/etc/hostname')",
        "SELECT /* /* */ ' */ file('/etc/hostname') --'",
        "SELECT arrayMap(file, ['/etc/hostname'])",
        "SELECT * FROM system.settings",
        "EXPLAIN SELECT * FROM (SELECT sleep(0))",
    ],
)
def test_what_the_engine_itself_reads_in_a_text_is_refused_without_reading_the_text(warehouse, monkeypatch, sql):
    monkeypatch.setattr("polyhouse.warehouse.guard.check_user_sql", lambda *_: None)
    monkeypatch.setattr("polyhouse.warehouse.guard.split_statements", lambda text: [text])
    monkeypatch.setattr("polyhouse.warehouse.guard._first_word", lambda _: "select")
    with pytest.raises(BadInputError, match="is not allowed in a query"):
        run(warehouse, sql)


def test_more_rows_than_allowed_are_an_error_or_marked(warehouse):
    assert len(run(warehouse, "SELECT number FROM numbers(100)").rows) == 100
    with pytest.raises(BadInputError, match="more than 100 rows"):
        run(warehouse, "SELECT number FROM numbers(101)")
    with pytest.raises(BadInputError, match="more than 100 rows"):
        run(warehouse, "SELECT number FROM system.numbers")
    cut = run(warehouse, "SELECT number FROM system.numbers", truncate=True)
    assert (len(cut.rows), cut.truncated) == (100, True)
    exact = run(warehouse, "SELECT number FROM numbers(100)", truncate=True)
    assert (len(exact.rows), exact.truncated) == (100, False)


def test_slow_and_greedy_queries_are_stopped(warehouse):
    with pytest.raises(BadInputError, match=r"longer than 0\.2 s"):
        run(warehouse, "SELECT sum(number) FROM system.numbers", timeout_seconds=0.2)
    with pytest.raises(BadInputError, match="memory"):
        run(warehouse, "SELECT length(groupArray(number)) FROM numbers(1000000000)")
    with pytest.raises(BadInputError, match="positive"):
        run(warehouse, "SELECT 1", timeout_seconds=0)


def test_a_later_query_of_ours_is_not_limited(warehouse):
    run(warehouse, "SELECT 1", max_rows=1)
    assert len(warehouse.query("SELECT number FROM numbers(1000)").rows) == 1000
    warehouse.command("SYSTEM START MERGES")


def test_statements_are_split_where_they_end():
    text = "-- a; b\nSELECT 'x;''y\\';' ; /* ; */ SELECT `a;b`, \"c;d\", $t$ ; $t$;;\n# ;\n"
    assert [statement.split()[-1] for statement in split_statements(text)] == ["'x;''y\\';'", "$t$"]
    assert [token.text for token in tokens("a1.`b``c`(0x1F, 1e-5)")] == [
        "a1", ".", "b`c", "(", "0x1F", ",", "1e", "-", "5", ")"
    ]  # fmt: skip


def test_the_engines_own_list_of_table_functions_is_refused():
    check_user_sql("SELECT brandnew(1)")
    with pytest.raises(BadInputError, match="BrandNew"):
        check_user_sql("SELECT * FROM BrandNew(1)", frozenset({"brandnew"}))
