"""Both servers are away in the middle of a run, one after the other: it waits, and ends as if nothing had been."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clickhouse_endpoint import running_endpoint

sys.path.insert(0, str(Path(__file__).parent))

from killlab import Ended, Lab, World

from polyhouse.errors import RetryableError, WarehouseUnavailableError
from polyhouse.sim.faults import Fault
from polyhouse.sim.runner import ServerThread
from polyhouse.state.patience import patient
from polyhouse.warehouse import open_warehouse
from polyhouse.warehouse.patience import patiently
from polyhouse.wiring.sessions import STATE_PATIENCE_SECONDS, WAREHOUSE_PATIENCE_SECONDS

pytestmark = pytest.mark.timeout(400)

PASSWORD = "kept-over-restarts"
AWAY_SECONDS = float(os.environ.get("POLYHOUSE_AWAY_SECONDS", "1.5"))
"""How long each of both servers is away."""


def wait_until(what: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def port_of(url: str) -> str:
    return url.rsplit(":", 1)[1].partition("/")[0]


def test_a_run_outlives_both_of_its_servers(tmp_path: Path, postgres_server: Any, postgres_url: str) -> None:
    world = World.of({"seed": 5, "wallets": 6, "fills": 1_200})
    world.server.faults.set([Fault("data/v2/activity", "slow", seconds=0.5)])
    names = tmp_path / "wallets.txt"
    names.write_text("\n".join(world.server.world.universe.wallets))
    ended: list[Ended] = []
    lab = Lab(tmp_path)
    with ServerThread(world.server):
        with running_endpoint(tmp_path / "store", password=PASSWORD) as url:
            environment = {"POLYHOUSE_WAREHOUSE": url, "POLYHOUSE_STATE": postgres_url, "POLYHOUSE_PUBLISH": "off"}
            lab.must(tmp_path, world, "migrate", env=environment)
            words = ("sync", "wallets", "--file", str(names), "--no-metrics")
            life = threading.Thread(target=lambda: ended.append(lab.run(tmp_path, world, *words, env=environment)))
            life.start()
            wait_until(lambda: world.server.requests["data/v2/activity"] > 0)
        time.sleep(AWAY_SECONDS)
        assert not ended, lab.last_words()
        again = running_endpoint(tmp_path / "store", password=PASSWORD, arguments=("--port", port_of(url)))
        with again as url:
            postgres_server.stop()
            time.sleep(AWAY_SECONDS)
            postgres_server.start()
            life.join(120)
            lab.close()
            assert ended, "it never ended"
            assert ended[0].code == 0, lab.last_words()
            with open_warehouse(url) as warehouse:
                sql = "SELECT count() FROM observations_current WHERE source = 'activity' AND kind IN ('BUY', 'SELL')"
                assert warehouse.query(sql).rows[0][0] == world.server.world.views.counts[0]


class Watch:
    """Stands for the clock: sleeping takes no time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("away", "outlived"), [(60.0, True), (63.0, True), (120.0, False)])
def test_a_server_may_be_away_for_a_minute_and_what_its_start_takes(
    monkeypatch: pytest.MonkeyPatch, away: float, outlived: bool
) -> None:
    watch = Watch(monkeypatch)
    back = watch.now + away

    def ask(error: Exception) -> str:
        watch.sleep(0.2)
        if watch.now < back:
            raise error
        return "answered"

    @patient
    class Store:
        patience_seconds = STATE_PATIENCE_SECONDS

        def note(self) -> str:
            return ask(RetryableError("The state store is unavailable: connection refused."))

    def refused() -> str:
        return ask(WarehouseUnavailableError("The warehouse does not answer", never_arrived=True))

    for question in (Store().note, lambda: patiently(WAREHOUSE_PATIENCE_SECONDS, refused, may_repeat=False)):
        back = watch.now + away
        if outlived:
            assert question() == "answered"
        else:
            with pytest.raises(RetryableError, match=r"is unavailable|does not answer"):
                question()


def test_only_what_may_happen_twice_is_sent_again_when_its_answer_was_lost() -> None:
    done: list[str] = []

    def lost() -> None:
        done.append("sent")
        if len(done) < 3:
            raise WarehouseUnavailableError("the answer was lost", is_away=True)

    with pytest.raises(WarehouseUnavailableError):
        patiently(30.0, lost, may_repeat=False)
    assert len(done) == 1
    patiently(30.0, lost, may_repeat=True)
    assert len(done) == 3


def test_what_never_arrived_is_sent_again_whatever_it_is() -> None:
    done: list[str] = []

    def refused() -> None:
        done.append("sent")
        if len(done) < 3:
            raise WarehouseUnavailableError("refused", never_arrived=True)

    patiently(30.0, refused, may_repeat=False)
    assert len(done) == 3


def test_a_server_that_nobody_started_is_named_with_its_address() -> None:
    with pytest.raises(WarehouseUnavailableError, match=r"at 127\.0\.0\.1:9 does not answer: nobody accepts") as caught:
        open_warehouse("clickhouse://someone:secret@127.0.0.1:9/polymarket")
    assert caught.value.never_arrived
    assert "secret" not in str(caught.value) + caught.value.hint
