"""Loading from Python: the same jobs as the command line's, without its signals and its talk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from polyhouse.api.connection import Connection

if TYPE_CHECKING:
    from polyhouse.sync.report import RunReport
    from polyhouse.wiring import Stores

T = TypeVar("T")


def run(connection: Connection, wallets: Sequence[str], max_wallets: int | None, *, metrics: bool) -> RunReport:
    """See ``Polyhouse.run``."""
    from polyhouse.domain.ids import parse_address
    from polyhouse.reads.queue import remember_figures
    from polyhouse.sync.progress import NullReporter
    from polyhouse.sync.report import WalletSelection
    from polyhouse.wiring import engine_session

    addresses = tuple(parse_address(wallet) for wallet in wallets)
    selection = WalletSelection(addresses=addresses, max_wallets=max_wallets) if addresses or max_wallets else None

    def work(stores: Stores) -> RunReport:
        async def main() -> RunReport:
            async with engine_session(connection.settings, stores, NullReporter()) as engine:
                return await engine.run(selection=selection, metrics=metrics)

        report = finished(main())
        remember_figures(stores.warehouse, stores.state)
        return report

    return connection.use(work)


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from plain code, also where an event loop runs already (a notebook's)."""
    result: list[T] = []
    failure: list[BaseException] = []

    def main() -> None:
        try:
            result.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failure.append(error)

    thread = threading.Thread(target=main, name="polyhouse-run")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]
