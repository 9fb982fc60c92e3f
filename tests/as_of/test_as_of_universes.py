"""Models as of a moment: equal to a store that was only ever told what had happened by then; newest = published."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import pytest
from accounting_builds import accounting_builds
from score_store import columns as columns_of
from score_store import empty, fill, load, market_tables, resolution, universe_tables

from polyhouse.errors import BadInputError
from polyhouse.models import as_of
from polyhouse.models.as_of import forget_moment, keep_moment, kept_moments
from polyhouse.models.build import BY_WALLET
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.as_of import NotKeptError, at_moment
from polyhouse.reads.queries import answer
from polyhouse.sim.universe import Universe
from polyhouse.tables import BY_NAME

DAY = 86_400
START = 1_780_000_000


def dump(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of wallets, without the number of the build."""
    return {
        table: sorted(warehouse.query(f"SELECT * EXCEPT (version, is_deleted) FROM {table} FINAL").rows, key=repr)
        for table in BY_WALLET
    }


def differences(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> list[str]:
    return [table for table in one if one[table] != other[table]]


def universe(seed: int, day: int) -> Universe:
    made = Universe(seed=seed, wallets=10, fills=300, span_days=200, now_fraction=0.3, amm_markets=4 * (seed % 2))
    made.advance(day * DAY)
    return made


def newest_of(warehouse: Warehouse) -> int:
    return int(warehouse.query("SELECT toUnixTimestamp(as_of) FROM builds ORDER BY build DESC LIMIT 1").rows[0][0])


@pytest.mark.parametrize(("seed", "day"), [(2, 77), (3, 31)])
def test_a_moment_equals_a_store_that_ended_there(shared: Warehouse, seed: int, day: int) -> None:
    empty(shared)
    load(shared, universe_tables(universe(seed, 120)))
    build(shared)
    published = dump(shared)
    then = dump(shared.in_database(keep_moment(shared, universe(seed, day).now).database))
    assert dump(shared) == published, "a moment changes nothing of the present"
    empty(shared)
    load(shared, universe_tables(universe(seed, day)))
    build(shared)
    assert differences(then, dump(shared)) == []
    assert then["positions"]
    assert then["positions"] != published["positions"]


def test_the_newest_moment_equals_what_is_published(shared: Warehouse) -> None:
    empty(shared)
    load(shared, universe_tables(universe(3, 60)))
    build(shared)
    made = keep_moment(shared, newest_of(shared))
    assert differences(dump(shared.in_database(made.database)), dump(shared)) == []


def small(shared: Warehouse) -> None:
    """A market with two wallets that is bought in hour 1, trades higher in hour 2, and is lost in hour 50."""
    empty(shared)
    rows = [fill(5, 1, 100, 4_000), fill(6, 2, 10, 700), fill(6, 60, 10, 300, market=2)]
    lost = resolution(START + 50 * 3_600, (0, 1))
    load(shared, market_tables(1, 2) | {"observations": columns_of(rows), "resolutions": lost})


def ask(shared: Warehouse, hour: float, what: str = "wallet", **arguments: Any) -> dict[str, Any]:
    moment = START + round(hour * 3_600)
    keep_moment(shared, moment)
    return answer(what, {"as_of": moment, **arguments}, shared, Nobody())  # type: ignore[arg-type]


class Nobody:
    """A state store that knows no wallet."""

    def wallet(self, _wallet: bytes) -> None:
        return None


def test_later_resolutions_and_prices_are_unknown(shared: Warehouse) -> None:
    small(shared)
    build(shared)
    address = "0x" + "05" * 20
    now = answer("wallet", {"address": address}, shared, Nobody())["totals"]  # type: ignore[arg-type]
    assert (now["realized"], now["unrealized"]) == (-40, 0)
    before = ask(shared, 1.5, address=address)
    assert before["as_of_moment"] == "2026-05-28T21:56:40Z"
    assert (before["totals"]["realized"], before["totals"]["unrealized"]) == (0, 0)
    after = ask(shared, 3, address=address)["totals"]
    assert (after["realized"], after["unrealized"]) == (0, 30)
    steps = ask(shared, 3, "explain", address=address, name="unrealized")
    assert steps["value"] == 30
    assert steps["adds_up"] is True
    board = ask(shared, 3, "leaderboard", min_units=0, min_gains_losses="0")
    assert len(board["rows"]) == 2
    assert ask(shared, 3, "specialists")["rows"] == []
    with pytest.raises(BadInputError, match="has no past"):
        ask(shared, 3, "status")


def test_moments_outside_of_what_is_known_are_refused(shared: Warehouse) -> None:
    small(shared)
    for moment in (START, START + 61 * 3_600, 2_000_000_000):
        with pytest.raises(BadInputError, match="the store knows what happened from"):
            keep_moment(shared, moment)
    with pytest.raises(NotKeptError, match="no models as of"):
        at_moment(shared, START + 7_200)
    with pytest.raises(BadInputError, match="as_of 'yesterday' is not valid"):
        at_moment(shared, "yesterday")
    with pytest.raises(BadInputError, match="no models as of"):
        forget_moment(shared, START + 7_200)
    empty(shared)
    with pytest.raises(BadInputError, match="the store is empty"):
        keep_moment(shared, START)


@accounting_builds()
def test_what_is_kept_is_bounded_listed_and_made_anew_when_older_rows_arrive(
    shared: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(shared)
    monkeypatch.setattr(as_of, "MOST_KEPT", 1)
    moments = [START + hour * 3_600 for hour in (2, 3)]
    first = keep_moment(shared, moments[0])
    load(shared, {"observations": columns_of([fill(7, 70, 10, 300, market=2)])})
    assert keep_moment(shared, moments[0]) == first, "what arrived is younger"
    load(shared, {"observations": columns_of([fill(7, 1, 10, 300)])})
    second = keep_moment(shared, moments[0])
    assert (first.rows, second.rows) == (2, 3)
    assert keep_moment(shared, moments[1]).forgotten == (moments[0],)
    assert [one.moment for one in kept_moments(shared)] == moments[1:]
    forget_moment(shared, moments[1])
    databases = {name for (name,) in shared.query("SELECT name FROM system.databases").rows}
    assert {name for name in databases if "_as_of_" in name} == {one.database for one in kept_moments(shared)}


@accounting_builds()
def test_a_killed_build_is_never_read(shared: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    small(shared)
    moment = START + 2 * 3_600

    def killed(_warehouse: Warehouse) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(as_of, "build", killed)
        with pytest.raises(KeyboardInterrupt):
            keep_moment(shared, moment)
    with pytest.raises(NotKeptError):
        at_moment(shared, moment)
    made = keep_moment(shared, moment)
    databases = [name for (name,) in shared.query("SELECT name FROM system.databases").rows if "_as_of_" in name]
    assert databases == [made.database], "what the killed build left is gone"


def test_every_source_of_the_models_is_cut() -> None:
    """A model that reads another source would see the present: its rule must stand here."""
    folder = resources.files("polyhouse.models")
    files = [entry for place in (folder, folder / "steps") for entry in place.iterdir() if entry.name != "as_of.py"]
    text = "".join(entry.read_text("utf-8") for entry in files if entry.name.endswith((".sql", ".py")))
    named = {name for name in BY_NAME if re.search(rf'\b(?:FROM|JOIN) {name}\b|"{name}"', text)}
    assert named == set(as_of._CUTS)
