"""The read commands by name: what the command line asks, in this process or through a running server.

Each imports what it reads when it is asked: a status must not wait for the catalogue of metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.snapshot import of_one_state

if TYPE_CHECKING:
    from polyhouse.state import StateStore

Arguments = Mapping[str, Any]
_ONLY_NOW = {"status"}


def answer(name: str, arguments: Arguments, warehouse: Warehouse, state: StateStore) -> dict[str, Any]:
    """The document of one read command.

    Args:
        name: ``leaderboard``, ``wallet``, ``wallet_metrics`` (all metrics of one category and window, with units,
            samples and statuses), ``wallet_days`` (the daily series for charts), ``sparks`` (equity of several wallets
            as a few points each), ``wallet_trades`` (its fills, page by page), ``market``, ``specialists``,
            ``categories``, ``status`` or ``sql``.
        arguments: its JSON-able arguments. With ``as_of`` (ISO 8601 or Unix seconds) the answer is that of a kept
            moment of the past (``reads.as_of``); ``as_of_moment`` of the document names it.

    Raises:
        BadInputError: an unknown command or argument, or an argument that cannot be.
    """
    function = _COMMANDS.get(name)
    if function is None:
        raise BadInputError(f"unknown read command {name[:40]!r}", hint=f"one of: {' '.join(_COMMANDS)}")
    given = dict(arguments)
    as_of = given.pop("as_of", None)
    try:
        if as_of is None:
            # Each try gets arguments of its own: functions take theirs out.
            return of_one_state(warehouse, lambda: function(dict(given), warehouse, state))
        if name in _ONLY_NOW:
            raise BadInputError(f"{name} has no past", hint="leave as_of out")
        from polyhouse.reads.as_of import at_moment, without_present

        return without_present(function(given, at_moment(warehouse, as_of), state), as_of)
    except TypeError as error:
        # Only a wrong argument name or a missing one reaches a signature; anything else is a defect and stays one.
        if "argument" not in str(error):
            raise
        raise BadInputError(f"{name}: {error}") from error


def _leaderboard(arguments: dict[str, Any], warehouse: Warehouse, _state: StateStore) -> dict[str, Any]:
    from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard

    return leaderboard(warehouse, LeaderboardQuery(**arguments))


def _omega_leaderboard(arguments: dict[str, Any], warehouse: Warehouse, _state: StateStore) -> dict[str, Any]:
    from polyhouse.reads.omega_board import omega_leaderboard

    return omega_leaderboard(warehouse, arguments)


def _wallet(arguments: dict[str, Any], warehouse: Warehouse, state: StateStore) -> dict[str, Any]:
    from polyhouse.reads import queue
    from polyhouse.reads.cost_methods import OURS, check_method, cost_methods
    from polyhouse.reads.wallet import wallet

    address, method = arguments.pop("address", ""), check_method(arguments.pop("cost", OURS))
    document = wallet(warehouse, address, sync=queue.sync_entry(state, address), **arguments)
    if method != OURS:
        document["cost_methods"] = cost_methods(warehouse, address, method)
    return document


def _wallet_metrics(arguments: dict[str, Any], warehouse: Warehouse, state: StateStore) -> dict[str, Any]:
    """``address``, ``category`` ("overall"), ``window`` ("lifetime"): the document of ``reads.metrics.metrics``."""
    from polyhouse.reads.metrics import metrics

    return metrics(warehouse, _known(arguments, warehouse, state), **arguments)


def _wallet_days(arguments: dict[str, Any], warehouse: Warehouse, state: StateStore) -> dict[str, Any]:
    """``address``, ``category`` ("overall"), ``window`` ("lifetime"): the document of ``reads.days.days``."""
    from polyhouse.reads.days import days

    return days(warehouse, _known(arguments, warehouse, state), **arguments)


def _sparks(arguments: dict[str, Any], warehouse: Warehouse, _state: StateStore) -> dict[str, Any]:
    """``wallets``, ``category`` ("overall"), ``window`` ("lifetime"): ``{"sparks": {address: [equity, …]}}``."""
    from polyhouse.domain.ids import format_address
    from polyhouse.reads.sparks import sparks

    wallets = [format_address(parse_address(wallet)) for wallet in arguments.pop("wallets", ())]
    scope = {"category": "overall", "window": "lifetime"} | arguments
    return {"sparks": dict(sparks(warehouse, wallets, **scope))}


def _wallet_trades(arguments: dict[str, Any], warehouse: Warehouse, state: StateStore) -> dict[str, Any]:
    """``address``, ``limit``, ``cursor``, ``market``: the document of ``reads.trades.trades``."""
    from polyhouse.reads.trades import trades

    return trades(warehouse, _known(arguments, warehouse, state), **arguments)


def _known(arguments: dict[str, Any], warehouse: Warehouse, state: StateStore) -> str:
    """Take the address out of the arguments; that of a wallet nobody has heard of is refused, as in ``wallet``."""
    from polyhouse.reads import queue
    from polyhouse.reads.metrics import was_built
    from polyhouse.reads.wallet import unknown_wallet

    address: str = arguments.pop("address", "")
    wallet_id = parse_address(address)
    if not was_built(warehouse, wallet_id) and queue.sync_entry(state, address) is None:
        raise unknown_wallet(wallet_id)
    return address


def _explain(arguments: dict[str, Any], warehouse: Warehouse, _state: StateStore) -> dict[str, Any]:
    from polyhouse.reads.explain import explain

    return explain(warehouse, arguments.pop("address", ""), arguments.pop("name", ""), **arguments)


def _specialists(arguments: dict[str, Any], warehouse: Warehouse, _state: StateStore) -> dict[str, Any]:
    from polyhouse.reads.specialists import specialists

    return specialists(warehouse, **arguments)


def _categories(arguments: dict[str, Any], warehouse: Warehouse, _state: StateStore) -> dict[str, Any]:
    from polyhouse.reads.categories import categories

    return categories(warehouse, **arguments)


def _market(arguments: dict[str, Any], warehouse: Warehouse, _state: StateStore) -> dict[str, Any]:
    from polyhouse.reads.market import market

    return market(warehouse, **arguments)


def _status(_arguments: dict[str, Any], warehouse: Warehouse, state: StateStore) -> dict[str, Any]:
    from polyhouse.reads import queue
    from polyhouse.reads.status import status

    return status(warehouse, queue.facts(state))


def _sql(arguments: dict[str, Any], warehouse: Warehouse, _state: StateStore) -> dict[str, Any]:
    from polyhouse.reads.table import sql

    return sql(warehouse, **arguments)


_COMMANDS: dict[str, Callable[[dict[str, Any], Warehouse, StateStore], dict[str, Any]]] = {
    "leaderboard": _leaderboard,
    "omega_leaderboard": _omega_leaderboard,
    "wallet": _wallet,
    "wallet_metrics": _wallet_metrics,
    "wallet_days": _wallet_days,
    "sparks": _sparks,
    "wallet_trades": _wallet_trades,
    "explain": _explain,
    "market": _market,
    "specialists": _specialists,
    "categories": _categories,
    "status": _status,
    "sql": _sql,
}
