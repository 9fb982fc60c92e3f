"""What the upstream says of itself is kept with every run, and held against what "up to date" means."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from polyhouse.errors import UpstreamUnavailableError
from polyhouse.sources.data_api.status import ServiceStatus, _decode
from polyhouse.sync.served import SERVED_NOTE, record_served, upstream_is_in_step

NOW = 1_780_000_000


@dataclass
class State:
    notes: dict[str, Any] = field(default_factory=dict)

    def get_note(self, key: str) -> Any:
        return self.notes.get(key)

    def set_note(self, key: str, value: Any) -> None:
        self.notes[key] = value


async def record(state: State, found: ServiceStatus | Exception) -> None:
    async def served() -> ServiceStatus:
        if isinstance(found, Exception):
            raise found
        return found

    clock = SimpleNamespace(time=lambda: float(NOW))
    ctx = SimpleNamespace(sources=SimpleNamespace(served=served), should_end=False, clock=clock, state=state)
    await record_served(ctx)  # type: ignore[arg-type]


def answer(lag: float | None, low: int | None = 90, high: int | None = 90) -> ServiceStatus:
    doc = {
        "computed_at": "2026-09-23T10:00:00Z", "serving": {"lag_seconds": lag, "mechanisms": ["blocks"]},
        "ingestion": {"max_synced_block": high, "min_synced_block": low, "lagging": ["custody"]},
    }  # fmt: skip
    return _decode(msgspec.json.encode({"data": doc}))


@pytest.mark.parametrize(
    ("found", "is_ok", "said"),
    [
        (answer(4, 84_000_000, 84_000_833), True, "it was 4 s behind, its slowest part 833 blocks"),
        (answer(600), True, "it was 600 s behind"),
        (answer(3_601), False, "it was 3,601 s behind; polyhouse run, later"),
        (answer(None, None, None), True, "it did not say how far it was"),
    ],
)
async def test_an_upstream_that_is_behind_is_told(found: ServiceStatus, is_ok: bool, said: str) -> None:
    state = State()
    await record(state, found)
    result = upstream_is_in_step(state)  # type: ignore[arg-type]
    assert (result.ok, result.broken) == (is_ok, int(not is_ok))
    assert result.detail.endswith(said)
    assert result.detail.startswith("violated: ") is not is_ok


async def test_an_upstream_that_does_not_tell_leaves_what_is_known(caplog: pytest.LogCaptureFixture) -> None:
    state = State()
    assert "no run has asked it yet" in upstream_is_in_step(state).detail  # type: ignore[arg-type]
    await record(state, answer(4))
    await record(state, UpstreamUnavailableError("data: GET /v2/status answered 503"))
    assert state.notes[SERVED_NOTE] == {"at": NOW, "lag_seconds": 4, "lowest_block": 90, "highest_block": 90}
    assert "did not say how far it is" in caplog.text
