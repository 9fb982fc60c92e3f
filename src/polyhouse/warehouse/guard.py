"""A user's SQL: what may run, and inside which limits.

Three fences. The engine runs the statement in a session with ``readonly = 1``: no writes, no settings, no table
functions that leave the store. That alone is not enough: the engine lets read-only sessions call the *scalar* function
``file('/etc/passwd')``, write ``SELECT … INTO OUTFILE``, run several statements at once, and describe ``file(…)``. So
the text is read first and everything of that kind is refused. Since a text can be read in two ways, what passed is then
parsed by the engine itself (``EXPLAIN AST`` runs nothing), and the names in its tree are held against the same lists.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from polyhouse.errors import BadInputError
from polyhouse.ports import QueryResult
from polyhouse.warehouse.engine import Engine
from polyhouse.warehouse.faults import translate_user_sql
from polyhouse.warehouse.lexer import Token, split_statements, tokens
from polyhouse.warehouse.results import decode_columns

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_FIRST_WORDS = frozenset({"select", "with", "show", "describe", "desc", "explain", "from"})
_MEMORY_BYTES = 1 << 30

# Table functions that only compute, or read tables of this store through the same fences.
_HARMLESS_TABLE_FUNCTIONS = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "generateseries", "generate_series", "values", "null", "view",
     "format", "primes"}
)  # fmt: skip

# Scalar functions that read files, ask services, write logs, wait, or show settings and the machine. They are refused
# as bare names too: ``arrayMap(file, …)`` and ``* APPLY file`` call them without a parenthesis behind.
_FORBIDDEN_SCALARS = frozenset(
    {"file", "catboostevaluate", "showcertificate", "logtrace", "getclienthttpheader", "currentrequesturl",
     "reversednsquery", "filesystemavailable", "filesystemcapacity", "filesystemunreserved", "fuzzquery",
     "sleep", "sleepeachrow", "getserversetting", "getmergetreesetting", "getmacro", "getserverport", "tcpport",
     "getoskernelversion", "fqdn", "fullhostname", "serveruuid", "evalmlmethod", "generateserialid",
     "addresstoline", "addresstolinewithinlines", "addresstosymbol"}
)  # fmt: skip

# Tables of the engine about itself name paths, settings, users and the queries of others. These do not.
_HARMLESS_SYSTEM_TABLES = frozenset(
    {"one", "numbers", "numbers_mt", "zeros", "zeros_mt", "columns", "functions", "table_functions", "keywords",
     "data_type_families", "formats", "time_zones"}
)  # fmt: skip
_TREE_NAME = re.compile(r" *(Function|Identifier|TableIdentifier) ([^ ]+)")
_SHOWN = frozenset({"tables", "columns", "fields", "databases", "index", "indexes", "indices", "keys", "functions"})
_CREATED = frozenset({"user", "users", "role", "roles", "row", "quota", "quotas", "settings", "profile", "profiles",
                      "access", "policy", "policies", "dictionary", "masking"})  # fmt: skip

# Known at the time of writing; the engine's own list is added, so that a newer engine opens no door.
_FORBIDDEN_TABLE_FUNCTIONS = frozenset(
    {"file", "url", "s3", "gcs", "sqlite", "mysql", "postgresql", "mongodb", "redis", "remote", "remotesecure",
     "cluster", "clusterallreplicas", "executable", "python", "eval", "hdfs", "odbc", "jdbc", "input", "dictionary",
     "filesystem", "bigquery", "loop", "merge", "viewexplain", "viewifpermitted"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReadonlyResult(QueryResult):
    """Rows of a user's query; ``truncated`` says that there are more."""

    truncated: bool = False


def run_readonly(engine: Engine, sql: str, *, max_rows: int, timeout_seconds: float, truncate: bool) -> ReadonlyResult:
    """See ``ClickHouseWarehouse.query_readonly``."""
    if max_rows < 1 or not 0 < timeout_seconds < math.inf:
        raise BadInputError(f"Limits must be positive: {max_rows} rows, {timeout_seconds} s.")
    table_functions = _engine_table_functions(engine)
    check_user_sql(sql, table_functions)
    _check_tree(_tree(engine, sql, timeout_seconds), _forbidden(table_functions))
    settings = {
        "max_execution_time": f"{timeout_seconds:.3f}",
        "timeout_overflow_mode": "throw",
        "max_memory_usage": str(_MEMORY_BYTES),
        # One more than allowed tells "exactly the limit" from "more".
        "max_result_rows": str(max_rows + 1 if truncate else max_rows),
        "result_overflow_mode": "break" if truncate else "throw",
        "max_threads": "2",
        "allow_ddl": "0",
        # Last: after it no setting can change.
        "readonly": "1",
    }
    client = engine.connect(settings)
    try:
        result = client.query(sql, query_formats={"String": "bytes"}, query_tz="UTC", column_oriented=True)
        # The embedded engine sends no header with an empty answer, but people and programs want to see what is empty.
        names = result.column_names or _described(client, sql)
    except Exception as error:
        raise translate_user_sql(error, max_rows=max_rows, timeout_seconds=timeout_seconds) from error
    finally:
        client.close()
    # Of LIMIT 0 the driver knows the columns and has none.
    decoded = decode_columns(result) if result.result_set else QueryResult(tuple(names), [])
    if not truncate and len(decoded.rows) > max_rows:
        raise BadInputError(f"The query returns more than {max_rows:,} rows.", hint="Add a LIMIT, or raise the limit.")
    return ReadonlyResult(decoded.columns, decoded.rows[:max_rows], truncated=len(decoded.rows) > max_rows)


def _described(client: Client, sql: str) -> Sequence[str]:
    """Names of the columns that a SELECT would return; none for statements of other kinds."""
    statement = next(iter(split_statements(sql)), "")
    if _first_word(statement) not in {"select", "with", "from"}:
        return ()
    return [str(row[0]) for row in client.query(f"DESCRIBE TABLE (\n{statement}\n)").result_rows]


def check_user_sql(sql: str, table_functions: frozenset[str] = _FORBIDDEN_TABLE_FUNCTIONS) -> None:
    """Refuse everything but one reading statement without functions that leave the store.

    Args:
        sql: the user's text.
        table_functions: lower-case names of the engine's table functions.

    Raises:
        BadInputError: with the reason.
    """
    lexemes = list(tokens(sql))
    while lexemes and lexemes[-1].text == ";" and lexemes[-1].kind == "symbol":
        lexemes.pop()
    if not lexemes:
        raise BadInputError("The query is empty.")
    if any(token.kind == "symbol" and token.text == ";" for token in lexemes):
        raise BadInputError("Only one statement at a time is allowed.")
    first = next((token for token in lexemes if token.text != "("), lexemes[0])
    if first.kind != "word" or first.text.lower() not in _FIRST_WORDS:
        raise BadInputError(f"Only SELECT, WITH, SHOW, DESCRIBE and EXPLAIN are allowed, not {first.text[:40]}.")
    _refuse_characters(lexemes)
    _refuse_words(lexemes)
    _refuse_shown(lexemes)
    _refuse_functions(lexemes, _forbidden(table_functions))
    _refuse_names(lexemes)


def _forbidden(table_functions: frozenset[str]) -> frozenset[str]:
    return (table_functions | _FORBIDDEN_TABLE_FUNCTIONS) - _HARMLESS_TABLE_FUNCTIONS | _FORBIDDEN_SCALARS


def _refuse_characters(lexemes: Sequence[Token]) -> None:
    for token in lexemes:
        if token.kind == "symbol" and not (token.text.isascii() and token.text.isprintable()):
            raise BadInputError(
                f"Character {token.start + 1} ({ascii(token.text)[1:-1]}) is not allowed in a query outside of quotes."
            )


def _refuse_shown(lexemes: Sequence[Token]) -> None:
    """Of the statements that begin with SHOW only those about tables: others tell settings, users, queries."""
    words = [token.text.lower() for token in lexemes if token.kind == "word"]
    if words[0] != "show":
        return
    rest = [word for word in words[1:] if word not in {"full", "extended", "temporary", "changed"}]
    is_create = rest[:1] == ["create"] and rest[1:2] and rest[1] not in _CREATED
    if not is_create and (not rest or rest[0] not in _SHOWN):
        raise BadInputError("SHOW tells of tables, columns, databases, indexes and functions here, of nothing else.")


def _refuse_names(lexemes: Sequence[Token]) -> None:
    """Functions that are named without being called, and the engine's tables about itself."""
    for index, token in enumerate(lexemes):
        if token.kind not in {"word", "name"}:
            continue
        name = token.text.lower()
        before = lexemes[index - 1].text.lower() if index else ""
        following = [one.text.lower() for one in lexemes[index + 1 : index + 3]]
        if name == "system" and following[:1] == ["."]:
            _refuse_system_table("".join(following[1:]))
        if name in _FORBIDDEN_SCALARS and before not in {"as", "."} and following[:1] != ["."]:
            raise _leaves(token.text)


def _refuse_system_table(name: str) -> None:
    if name not in _HARMLESS_SYSTEM_TABLES:
        raise BadInputError(
            f"The table system.{name[:40]} is not allowed in a query: it tells of the machine, not of the data."
        )


def _tree(engine: Engine, sql: str, timeout_seconds: float) -> list[str]:
    """What the engine makes of a statement, line by line; nothing for SHOW. Nothing is run."""
    statement = next(iter(split_statements(sql)), "")
    if _first_word(statement) == "show":
        return []
    client = engine.connect({"max_execution_time": f"{timeout_seconds:.3f}", "readonly": "1"})
    try:
        # Not as a query: the driver takes one that ends in LIMIT 0 for a question about its columns.
        text: bytes = client.raw_query(f"EXPLAIN AST {statement}", fmt="TSVRaw")
        return text.decode(errors="replace").splitlines()
    except Exception as error:
        raise translate_user_sql(error, max_rows=0, timeout_seconds=timeout_seconds) from error
    finally:
        client.close()


def _check_tree(lines: Sequence[str], forbidden: frozenset[str]) -> None:
    """Hold what the engine makes of the text against the same lists."""
    for line in lines:
        found = _TREE_NAME.match(line)
        if found is None:
            continue
        kind, name = found[1], found[2].lower()
        if name in _FORBIDDEN_SCALARS or (kind == "Function" and name in forbidden):
            raise _leaves(found[2])
        if name.startswith("system."):
            _refuse_system_table(name.removeprefix("system."))


def _first_word(statement: str) -> str:
    return next((token.text.lower() for token in tokens(statement) if token.text != "("), "")


def _leaves(name: str) -> BadInputError:
    return BadInputError(f"The function {name[:60]} is not allowed in a query: it leaves the store.")


def _refuse_words(lexemes: Sequence[Token]) -> None:
    for index, token in enumerate(lexemes):
        if token.kind != "word" or (index > 0 and lexemes[index - 1].text == "."):
            continue
        word = token.text.lower()
        following = lexemes[index + 1 : index + 3]
        if word in {"outfile", "infile"}:
            raise BadInputError("Reading and writing files is not allowed in a query.")
        if word == "settings" and len(following) == 2 and following[1].text == "=":
            raise BadInputError("SETTINGS is not allowed in a query.")
        if word == "format" and len(following) == 1 and following[0].kind == "word":
            raise BadInputError("FORMAT is not allowed in a query; the output format is an option of the command.")


def _refuse_functions(lexemes: Sequence[Token], forbidden: frozenset[str]) -> None:
    for token, follower in pairwise(lexemes):
        if follower.text != "(" or follower.kind != "symbol" or token.kind not in {"word", "name"}:
            continue
        name = token.text.lower()
        if name in forbidden or (name.startswith("ai") and token.text[2:3].isupper()):
            raise _leaves(token.text)


def _engine_table_functions(engine: Engine) -> frozenset[str]:
    with engine.borrow() as client:
        rows = client.query("SELECT lower(name) FROM system.table_functions").result_rows
    return frozenset(str(row[0]) for row in rows)
