"""Commands as users call them: exit codes, what goes to stdout and what to stderr."""

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from commands import in_process
from pseudo_terminal import on_a_terminal

import polyhouse as package
from polyhouse.cli.app import COMMANDS
from polyhouse.domain.contracts import USDC_E
from polyhouse.domain.ids import format_token, parse_condition, token_ids

WALLET = "0x6af75d4e4aaf700450efbac3708cce1665810ff1"
CONDITION = "0x" + "c1" * 32
TX = "0x" + "ab" * 32
TOKEN = format_token(token_ids(parse_condition(CONDITION), USDC_E)[0])


def environment(home, **extra):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    kept |= {"POLYHOUSE_HOME": str(home), "PYTHONPATH": str(Path(package.__file__).parents[1]), "COLUMNS": "80"}
    return kept | extra


def polyhouse(home, *arguments, **extra):
    return subprocess.run(
        [sys.executable, "-m", "polyhouse", *arguments],
        env=environment(home, **extra), cwd=home, capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def activity(**changes):
    row = {
        "proxyWallet": WALLET, "timestamp": 1_780_000_000, "conditionId": CONDITION, "type": "TRADE", "size": 10,
        "usdcSize": 4.5, "transactionHash": TX, "price": 0.45,
        "asset": TOKEN, "side": "BUY", "outcomeIndex": 0,
        "title": "t", "slug": "s",
    }  # fmt: skip
    return row | changes


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A store with one imported file."""
    folder = tmp_path_factory.mktemp("cli")
    rows = [activity(), activity(transactionHash="0x" + "cd" * 32, size=2, usdcSize=0.9), activity(size="NaN")]
    (folder / "activity.json").write_text(json.dumps(rows))
    result = polyhouse(folder, "import", "activity.json", "--json")
    assert result.returncode == 1, result.stderr
    assert json.loads(result.stdout) == {
        "files": [
            {
                "file": "activity.json", "format": "activity", "rows_read": 3, "rows_new": 2, "rows_repeated": 0,
                "rows_rejected": 1,
            }
        ]
    }  # fmt: skip
    assert "activity.json" in result.stderr
    return folder


def test_a_second_import_adds_nothing(home):
    result = in_process(home, "import", "activity.json", "--no-metrics", "--json")
    [file] = json.loads(result.stdout)["files"]
    assert (file["rows_new"], file["rows_repeated"], file["rows_rejected"]) == (0, 2, 1)
    status = json.loads(in_process(home, "status", "--json").stdout)
    assert sum(status["quarantined"].values()) == 1


def test_the_imported_wallet_is_computed_exactly(home):
    document = json.loads(in_process(home, "wallet", WALLET, "--json").stdout, parse_float=Decimal)
    assert document["totals"]["volume"] == Decimal("5.4")
    assert document["totals"]["trades"] == 2
    assert document["coverage"] == "rest"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--version"], 0, None),
        (["--help"], 0, None),
        (["leaderbord"], 2, "leaderboard"),
        (["leaderboard", "--sorte", "pnl"], 2, "--sort"),
        (["leaderboard", "--sort", "sharp"], 2, "omega"),
        (["leaderboard", "--window", "8d"], 2, "lifetime"),
        (["leaderboard", "--limit", "many"], 2, "--limit"),
        (["wallet", "0x12"], 2, "40"),
        (["wallet", "0x" + "00" * 19 + "09"], 2, "UNKNOWN_WALLET"),
        (["sql", "DROP TABLE ledger"], 2, "BAD_INPUT"),
        (["sql", "SELECT * FROM file('/etc/passwd')"], 2, "file"),
        (["sql", "SELECT number FROM numbers(11)", "--max-rows", "10"], 2, "10"),
        (["sql"], 2, "statement"),
        (["sync", "wallets", WALLET, "--all"], 2, "choose one"),
        (["sync", "positions"], 2, "choose one"),
        (["import", "missing.json"], 2, "missing.json"),
        (["replay", "activity.json"], 2, "object"),
        (["--warehouse", "chdb://relative", "status"], 2, "absolute"),
        (["--warehouse", "mysql://x/y", "status"], 2, "mysql"),
    ],
)
def test_exit_codes_and_streams(home, arguments, code, word):
    result = in_process(home, *arguments, COLUMNS="80")
    assert result.returncode == code, result.stderr
    if code:
        assert result.stdout == ""
        assert word in result.stderr
        assert len(result.stderr.splitlines()) <= 4
        assert "Traceback" not in result.stderr


def test_a_process_ends_with_the_code_of_its_command(home):
    result = polyhouse(home, "leaderboard", "--sort", "sharp")
    assert (result.returncode, result.stdout) == (2, "")
    assert "omega" in result.stderr


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"error": "no"}'
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_an_upstream_that_refuses_is_exit_3_and_keeps_its_queue(home):
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as upstream:
        Thread(target=upstream.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{upstream.server_port}"
        result = polyhouse(
            home, "sync", "wallets", WALLET, "--no-metrics", "--json", POLYHOUSE_DATA_URL=url,
            POLYHOUSE_GAMMA_URL=url, POLYHOUSE_CLOB_URL=url,
        )  # fmt: skip
        upstream.shutdown()
    assert result.returncode == 3, result.stderr
    document = json.loads(result.stdout)
    assert document["status"] == "failed"
    assert document["errors"]
    status = json.loads(polyhouse(home, "status", "--json").stdout)
    assert status["wallets"]["failed"] == 1
    assert status["last_run"]["status"] == "failed"
    assert [upstream["name"] for upstream in status["upstreams"]]
    assert json.loads(polyhouse(home, "retry", "--json").stdout) == {"queued": 1}
    assert json.loads(polyhouse(home, "reset", WALLET, "--json").stdout) == {"wallet": WALLET, "known": True}


def test_a_dry_run_changes_nothing(home):
    before = in_process(home, "status", "--json").stdout
    result = in_process(home, "sync", "wallets", WALLET, "--dry-run", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["plan"]["partitions"] == 1
    assert "nothing was changed" in result.stderr
    assert in_process(home, "status", "--json").stdout == before


def test_checks_and_rebuilds(home):
    result = in_process(home, "metrics", "--full", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["rows"]["ledger"] == 2
    document = json.loads(in_process(home, "check", "--json").stdout)
    assert {check["name"] for check in document["checks"]} >= {"totals_agree", "totals_are_sums"}


def test_pipes_get_whole_tab_separated_rows_without_escapes(home):
    result = polyhouse(home, "leaderboard", "--min-units", "0", "--min-gains-losses", "0", FORCE_COLOR="1")
    header, row = result.stdout.splitlines()
    assert len(header.split("\t")) == len(row.split("\t"))
    assert row.split("\t")[1] == WALLET
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(("extra", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_terminals_get_a_narrow_table(home, extra, coloured):
    arguments = ["leaderboard", "--min-units", "0", "--min-gains-losses", "0"]
    command = [sys.executable, "-m", "polyhouse", *arguments]
    shown = on_a_terminal(command, environment(home, **{"TERM": "xterm-256color"} | extra), home)
    assert ("\x1b[" in shown) == coloured
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("0x6af7…0ff1" in line for line in lines)


def test_config_shows_sources_and_hides_secrets(home, tmp_path):
    (tmp_path / "polyhouse.toml").write_text('rate_scale = 0.5\nclob_url = "http://127.0.0.1:1"\n')
    result = subprocess.run(
        [sys.executable, "-m", "polyhouse", "--warehouse", "clickhouse://me:planted@db:8123/x", "config", "--json"],
        env=environment(home, POLYHOUSE_ADMIN_API_KEY="planted", POLYHOUSE_CLOB_URL="http://127.0.0.1:2"),
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "planted" not in result.stdout + result.stderr
    rows = {row["name"]: (row["value"], row["source"]) for row in json.loads(result.stdout)["settings"]}
    assert rows["POLYHOUSE_RATE_SCALE"] == ("0.5", str(tmp_path / "polyhouse.toml"))
    assert rows["POLYHOUSE_CLOB_URL"] == ("http://127.0.0.1:2", "environment")
    assert rows["POLYHOUSE_WAREHOUSE"] == ("clickhouse://me:***@db:8123/x", "flag")
    assert rows["POLYHOUSE_ADMIN_API_KEY"] == ("***", "environment")
    assert rows["POLYHOUSE_HOME"] == (str(home), "environment")


def test_init_writes_once(tmp_path):
    assert in_process(tmp_path, "init").returncode == 0
    text = (tmp_path / "polyhouse.toml").read_text()
    again = in_process(tmp_path, "init")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert (tmp_path / "polyhouse.toml").read_text() == text
    assert in_process(tmp_path, "config").returncode == 0


@pytest.mark.parametrize(
    "name",
    [n for n in COMMANDS if n not in {"sync", "schedule", "keys"}]
    + ["sync markets", "sync trades", "sync wallets", "sync positions", "schedule show", "keys create"],
)
def test_every_command_explains_itself_with_three_examples(name):
    from click.testing import CliRunner

    from polyhouse.cli.app import app

    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    _, _, examples = result.output.partition("Examples:")
    assert sum("polyhouse " in line for line in examples.splitlines()[1:4]) == 3
    assert result.output.index("Examples:") < result.output.index("Options:")


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from polyhouse.cli.app import run_command_line; run_command_line(['--help']);"
        "heavy = {'chdb', 'pyarrow', 'pydantic', 'fastapi', 'sqlalchemy', 'rich', 'aiohttp', 'msgspec'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(Path.home()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stderr.strip() == "[]"
