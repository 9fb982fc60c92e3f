"""What a run that was killed after its wallets were read leaves to the next one: their positions, and their models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from polyhouse.sim.universe import Universe
from polyhouse.sync import engine as engine_module
from polyhouse.sync.reorg import wallets_to_rebuild

REPORTED = (
    "SELECT hex(wallet), hex(token), shares, toString(status) FROM reported_positions_current ORDER BY 1, 2",
    "SELECT hex(wallet), value FROM reported_values_current ORDER BY 1",
)


pytestmark = pytest.mark.timeout(300)


class KilledError(BaseException):
    """As abrupt as a signal."""


async def test_positions_that_a_killed_run_did_not_ask_for_are_asked_by_the_next(
    make_lab: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = await make_lab(Universe(seed=3, wallets=6, fills=80))
    async with lab.life("whole") as life:
        assert (await life.engine.run(metrics=False)).status == "ok"
        expected = [life.warehouse.query(sql).rows for sql in REPORTED]
        assert all(expected)

    async def killed(*_: Any, **__: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(engine_module, "walk_positions", killed)
        async with lab.life("killed") as life:
            with pytest.raises(KilledError):
                await life.engine.run(metrics=False)
            touched = wallets_to_rebuild(life.state)
    async with lab.life("killed") as life:
        assert [life.warehouse.query(sql).rows for sql in REPORTED] == [[], []]
        assert (await life.engine.run(metrics=False)).status == "ok"
        assert [life.warehouse.query(sql).rows for sql in REPORTED] == expected
        async with lab.counted() as used:
            assert (await life.engine.run(metrics=False)).status == "ok"
        assert not used["data/v2/positions"], "a run that came to its end leaves nothing"
        # Nobody has built since, so all of them still wait.
        assert touched
        assert wallets_to_rebuild(life.state) == touched
