"""Every command of the README and the pages runs, or names the test in which it does; links lead somewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from commands import running_engine

from polyhouse.cli.app import app, run_command_line
from polyhouse.errors import StoreInUseError
from polyhouse.settings import Settings
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.wiring import open_stores

_spec = importlib.util.spec_from_file_location("documented", Path(__file__).with_name("documented.py"))
assert _spec is not None
assert _spec.loader is not None
documented = importlib.util.module_from_spec(_spec)
sys.modules["documented"] = documented
_spec.loader.exec_module(documented)

LEFT_OUT = re.compile(r"[…\[\]{}()|*]|\.\.\.")
ORDER_FILLED = (
    "timestamp,maker,makerAssetId,makerAmountFilled,taker,takerAssetId,takerAmountFilled,transactionHash\n"
    f"1700000000,0x{'11' * 20},0,45000000,0x{'22' * 20},{7 * 10**70},100000000,0x{'33' * 32}\n"
)


def run(*arguments: str) -> tuple[int, str, str]:
    out, talk = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(talk):
        code = run_command_line(arguments)
    return code, out.getvalue(), talk.getvalue()


class Reader:
    """Somebody who types what the pages say, with names of their own store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir()
        for name in ("data/orderFilled.csv", "orderFilled.csv", "fills.csv"):
            (folder / name).write_text(ORDER_FILLED)
        busiest = (
            "SELECT wallet, category FROM vw_wallet_totals WHERE category != 'overall' ORDER BY trades DESC LIMIT 1"
        )
        with open_stores(Settings(home=folder / "home")) as stores:
            query = stores.warehouse.query
            self.wallet, self.category = query(busiest).rows[0]
            unit = "SELECT unit_id FROM vw_units WHERE wallet = {w:String} ORDER BY unit_id LIMIT 1"
            self.condition = query(unit, {"w": self.wallet}).rows[0][0]
            newest = query("SELECT formatDateTime(max(as_of) - 86400, '%Y-%m-%dT%H:%i:%SZ') FROM builds")
            self.moment = newest.rows[0][0]

    def own(self, word: str) -> str:
        """A word of a page in terms of this reader's store and folder."""
        word = re.sub(r"0x[0-9a-f]{64}", self.condition, word)
        word = re.sub(r"0x[0-9a-f]{40}\b|0x…", self.wallet, word)
        word = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", self.moment, word)
        if word.startswith(("/", "~/")):
            return str(self.folder / word.lstrip("~/"))
        return {
            "ADDRESS": self.wallet,
            "CONDITION": self.condition,
            "NAME": "omega_net",
            "fills.parquet": "fills.csv",
        }.get(word, word)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    server = SimServer(Universe(seed=4, wallets=10, fills=300), enforce_limits=False)
    with ServerThread(server), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("polyhouse.cli.logs.configure_logging", lambda _form: None)  # it is for a process of its own
        patch.setenv("POLYHOUSE_HOME", str(folder / "home"))
        patch.setenv("POLYHOUSE_RATE_SCALE", "1000")
        for name, url in (("GAMMA", server.gamma_url), ("CLOB", server.clob_url), ("DATA", server.data_url)):
            patch.setenv(f"POLYHOUSE_{name}_URL", url)
        assert run("run")[0] == 0
        yield Reader(folder)


@pytest.mark.timeout(600)
def test_every_command_of_a_block_runs(reader: Reader) -> None:
    failed = []
    with contextlib.ExitStack() as kept:
        kept.enter_context(running_engine(reader.folder / "home"))
        for command in dict.fromkeys(documented.shown()):
            if command.told_elsewhere is None:
                words = [reader.own(word) for word in command.words[1:]]
                (reader.folder / "polyhouse.toml").unlink(missing_ok=True)  # each page begins where there is none
                code, _, talk = run(*words)
                if code == StoreInUseError.exit_code:
                    kept.close()  # it opens another store, as it may in a process of its own
                    code, _, talk = run(*words)
                    kept.enter_context(running_engine(reader.folder / "home"))
                if code not in {0, 1}:
                    failed.append(f"{command.page}: {' '.join(words)}: exit {code}: {talk[-300:]}")
    assert not failed, "\n".join(failed)


def test_commands_that_run_elsewhere_name_a_test_that_exists() -> None:
    for command in documented.shown():
        place = command.told_elsewhere
        assert not place or (documented.ROOT / place).exists(), (command, place)


def test_commands_in_running_text_exist_with_their_options() -> None:
    wrong = []
    for command in documented.mentioned():
        words = [word for word in command.words[1:] if not LEFT_OUT.search(word)]
        found: click.Command = app
        known = {option for parameter in app.params for option in (*parameter.opts, *parameter.secondary_opts)}
        while words and isinstance(found, click.Group):
            if words[0].startswith("-"):
                words = words[2:]
                continue
            child = found.get_command(click.Context(found), words[0])
            if child is None:
                if words[0].islower():
                    wrong.append(f"{command.page}: {' '.join(command.words)}: no command {words[0]}")
                break
            found, words = child, words[1:]
            known |= {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
        options = [word.partition("=")[0].rstrip(",.:") for word in words if word.startswith("--")]
        wrong += [f"{command.page}: {' '.join(command.words)}: no {o}" for o in options if o not in known | {"--help"}]
    assert not wrong, "\n".join(wrong)


def test_every_link_leads_to_a_file() -> None:
    broken = []
    for page in documented.PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http://", "https://")) and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken, "\n".join(broken)
