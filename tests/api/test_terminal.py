"""What people see: widths, pictures, colours, forms, completion, suggestions; and what a command must not load."""

import json
import re
import subprocess
import sys
from decimal import Decimal

import click
import pytest
from api_server import environment, polyhouse
from click.shell_completion import BashComplete
from click.testing import CliRunner
from pseudo_terminal import on_a_terminal

from polyhouse.cli.app import COMMANDS, app
from polyhouse.cli.base import PolyCommand, PolyGroup, Run
from polyhouse.cli.curves import curve, sparkline, stretched
from polyhouse.cli.output import Column, emit_facts, emit_table, use_color

pytestmark = pytest.mark.timeout(300)  # the first one waits for the store

_SILENT = {"completion", "init", "mcp", "schedule", "serve", "worker"}
"""Commands that print no data."""


def lines_on_a_terminal(home, columns, *arguments, **settings):
    """Run a command on a terminal so wide; its lines without colours."""
    shown = {**environment(home), "COLUMNS": str(columns), "TERM": "xterm-256color", **settings}
    text = on_a_terminal([sys.executable, "-m", "polyhouse", *arguments], shown)
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def test_boards_and_wallets_fit_the_terminal_with_their_pictures(home):
    board = ["leaderboard", "--min-units", "1", "--limit", "3", "--sort", "return_per_dollar_hour"]
    narrow = lines_on_a_terminal(home, 80, *board)
    assert max(map(len, narrow)) <= 80
    assert "equity" not in narrow[0]
    wide = lines_on_a_terminal(home, 120, *board)
    assert 80 < max(map(len, wide)) <= 120
    assert wide[0].rstrip().endswith("equity"), wide[0]
    assert re.search(r"[▁▂▃▄▅▆▇█]{5}", wide[1])
    wallet = json.loads(polyhouse(home, "leaderboard", "--min-units", "1", "--json").stdout)["rows"][0]["wallet"]
    page = lines_on_a_terminal(home, 80, "wallet", wallet)
    assert max(map(len, page)) <= 80
    assert page[0].startswith("equity ")
    assert any("█" in line for line in page[1:7])
    assert any(wallet in line for line in page)


def test_long_values_go_on_below_themselves_and_long_names_are_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    run = Run(form="table", color=False)
    emit_facts(run, [("question", "Will it rain? " * 20), ("token_id", "7" * 78), ("nothing", None)])
    emit_table(run, [Column("market"), Column("volume", right=True)], [["x" * 300, Decimal("1234567.890000")]])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "".join(lines).count("7") >= 78
    assert lines[-1].endswith("1234567.890000")


@pytest.mark.parametrize(
    ("is_terminal", "settings", "flag", "is_coloured"),
    [
        (True, {}, None, True),
        (True, {"NO_COLOR": "1"}, None, False),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, None, False),
        (True, {"TERM": "dumb"}, None, False),
        (True, {"TERM": "dumb", "FORCE_COLOR": "1"}, None, True),
        (True, {"FORCE_COLOR": "1"}, False, False),
        (False, {}, None, False),
        (False, {"FORCE_COLOR": "1"}, None, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, is_terminal, settings, flag, is_coloured):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **settings}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert use_color(Run(color=flag)) is is_coloured


def leaves(group, name=""):
    for part in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), part)
        if isinstance(found, PolyGroup):
            yield from leaves(found, f"{name}{part} ")
        else:
            yield f"{name}{part}", found


def test_every_command_that_prints_data_takes_json_and_a_form():
    found = dict(leaves(app))
    assert len(found) >= len(COMMANDS)
    for name, one in found.items():
        assert isinstance(one, PolyCommand), name
        options = {option for parameter in one.params for option in parameter.opts}
        if name.split()[0] not in _SILENT:
            assert {"--json", "--format"} <= options, name


def test_the_same_rows_in_every_form():
    def printed(form):
        result = CliRunner().invoke(app, ["metric", "--format", form])
        assert result.exit_code == 0, result.output
        return result.stdout

    names = [metric["name"] for metric in json.loads(printed("json"))["metrics"]]
    assert [json.loads(line)["name"] for line in printed("jsonl").splitlines()] == names
    assert len(printed("csv").splitlines()) >= len(names) + 1
    assert printed("tsv").splitlines()[1].split("\t")[1] == names[0]
    assert printed("markdown").splitlines()[1] == "|---|---|---|---|"
    assert printed("table").splitlines()[1].split()[:3] == ["1", names[0], "computed"]
    wrong = CliRunner().invoke(app, ["metric", "--format", "cvs"])
    assert wrong.exit_code == 2


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        (["exp"], "export"),
        (["sync", "wal"], "wallets"),
        (["leaderboard", "--sort", "shar"], "sharpe"),
        (["leaderboard", "--category", "po"], "politics"),
        (["leaderboard", "--window", "3"], "30d"),
        (["leaderboard", "--min-p"], "--min-pnl"),
        (["metric", "omega_n"], "omega_net"),
        (["export", "trad"], "trades"),
        (["export", "trades", "--format", "par"], "parquet"),
        (["specialists", "--category", "sp"], "sports"),
        (["completion", "z"], "zsh"),
    ],
)
def test_the_shell_completes_commands_options_and_words(typed, word):
    complete = BashComplete(app, {}, "polyhouse", "_POLYHOUSE_COMPLETE")
    assert word in [item.value for item in complete.get_completions(typed[:-1], typed[-1])]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_program_and_bash_takes_it(shell):
    result = CliRunner().invoke(app, ["completion", shell])
    assert result.exit_code == 0
    assert f"_POLYHOUSE_COMPLETE={shell}_complete" in result.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=result.stdout, text=True, check=True, timeout=20)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["exprt"], "export"), (["leaderboard", "--categry", "x"], "--category"), (["sync", "walets"], "wallets"),
        (["metric", "omega_nett"], "omega_net"),
    ],
)  # fmt: skip
def test_typos_are_answered_with_what_was_meant(arguments, meant):
    from polyhouse.cli.app import run_command_line

    said = []
    original = click.echo
    click.echo = lambda text="", **_: said.append(str(text))
    try:
        assert run_command_line(arguments) == 2
    finally:
        click.echo = original
    assert meant in " ".join(said)


def test_versions_are_a_document():
    document = json.loads(CliRunner().invoke(app, ["version", "--json"]).stdout)
    assert {"polyhouse", "python", "platform", "schema", "categories", "packages"} == set(document)
    assert re.fullmatch(r"\d{4}_[a-z_]+", document["schema"])


def test_pictures_show_the_course_of_values():
    values = [None, Decimal(0), Decimal(5), Decimal(10)]
    assert sparkline(values) == " ▁▄█"
    assert sparkline([Decimal(3), Decimal(3)]) == "▁▁"
    assert sparkline([]) == ""
    lines = curve(values, 2)
    assert [len(line) for line in lines] == [4, 4]
    assert lines[0][1] == " "
    assert lines[0][3] == lines[1][3] == "█"
    days = [{"day": "2026-01-01", "equity": Decimal(1)}, {"day": "2026-01-09", "equity": None},
            {"day": "2026-01-11", "equity": Decimal(-2)}]  # fmt: skip
    assert stretched(days, 80) == [Decimal(1)] * 10 + [Decimal(-2)]
    assert stretched(days, 3) == [Decimal(1), Decimal(1), Decimal(-2)]
    assert stretched([], 80) == []


_HEAVY = {"fastapi", "uvicorn", "aiohttp", "numba", "rich", "pandas", "polars", "duckdb", "matplotlib", "alembic"}
_UNLOADED = {
    "--help": _HEAVY | {"chdb", "pyarrow", "numpy", "pydantic", "sqlalchemy", "msgspec", "asyncio", "http.client",
                        "polyhouse.settings", "polyhouse.reads"},
    "version": _HEAVY | {"chdb", "pyarrow", "sqlalchemy", "pydantic"},
    "status": _HEAVY | {"pydantic_settings", "tenacity", "polyhouse.metrics.catalogue", "polyhouse.reads.leaderboard",
                        "polyhouse.warehouse.bigquery", "polyhouse.sync.engine", "polyhouse.models.build"},
    "leaderboard": _HEAVY | {"pydantic_settings", "tenacity", "polyhouse.reads.explain", "polyhouse.models.build",
                             "polyhouse.warehouse.bigquery", "polyhouse.sync.engine", "polyhouse.ledger"},
}  # fmt: skip


@pytest.mark.parametrize("command", _UNLOADED)
def test_a_command_loads_nothing_that_it_does_not_need(home, command):
    code = (
        "import sys; from polyhouse.cli.app import run_command_line; assert not run_command_line(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr)"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, command], env=environment(home), capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert _UNLOADED[command] & set(made.stderr.split()) == set()
