"""Two small universes with all transfers, and a JSON-RPC caller over real HTTP."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from polyhouse.sim.universe import Universe

sys.path.append(str(Path(__file__).parent))

from sim_rpc_tools import Caller, dense


@pytest.fixture
async def rpc() -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(session)


@pytest.fixture(scope="session")
def universe() -> Universe:
    """Both eras of exchanges, every kind of log."""
    return Universe(seed=11, wallets=50, fills=2500, with_transfers=True)


@pytest.fixture
def busy() -> Universe:
    return dense()
