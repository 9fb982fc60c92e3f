"""Every parser of the product as one function: bytes in, a ``Reading`` out, or an error of the product."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_oracle as oracle
from fuzz_documents import (
    ACTIVITY,
    CASH,
    CLOB,
    CONDITION,
    DOME,
    END,
    EVENT,
    FILL,
    FIRST,
    LAST,
    LIVE,
    MARKET,
    NAMES,
    NOW,
    PAGED,
    POINT,
    POSITION,
    RESOLUTION,
    RPC,
    STANDING,
    SYNCED,
    TOKEN_ROW,
    TOKENS,
    TRADE,
    TX,
    USER_POSITION,
    V1_ACTIVITY,
    V1_CASH,
    V1_NAMES,
    V1_POSITION,
    V1_TRADE,
    VECTOR_LOG,
    WALLET,
    WIN,
)
from fuzz_driver import CHECKED, Clock, OneAnswer, Reading, Source, drive, stream, take, take_page
from fuzz_values import dump, whole

from polyhouse.ports import Page
from polyhouse.sources.http import HttpClient
from polyhouse.tables import BY_NAME
from polyhouse.warehouse.batches import to_arrow

_MEMORY = Path("/dev/shm")


def _data_api() -> list[Source]:
    from polyhouse.sources.data_api.activity import Activity
    from polyhouse.sources.data_api.holders import Holders
    from polyhouse.sources.data_api.leaderboard import BiggestWinners, Leaderboard
    from polyhouse.sources.data_api.lookups import Resolutions, Tokens
    from polyhouse.sources.data_api.published import Positions, Values
    from polyhouse.sources.data_api.published_pnl import UserPnl, UserStats
    from polyhouse.sources.data_api.trades import MarketTrades

    sell = TRADE | {"side": "SELL", "token_id": TOKENS[1], "outcome_index": 1, "timestamp": 1_779_999_999}
    kinds = ("SPLIT", "MERGE", "REDEEM", "CONVERSION", "REWARD", "DEPOSIT", "YIELD")
    moves = [ACTIVITY | {"type": kind, "side": "", "price": 0, "timestamp": 1_780_000_001} for kind in kinds]
    standing = {"data": [STANDING], **PAGED}
    rows = oracle.rest_rows
    return [
        Source(
            "data.trades",
            [{"data": [TRADE, sell], **PAGED}],
            ("data", 0),
            stream(lambda client: MarketTrades(client, roles=False), lambda one: one.partition([CONDITION]), END),
            rows(NAMES, "data", kind="TRADE"),
        ),
        Source(
            "data.activity",
            [{"data": [ACTIVITY, *moves], **PAGED}],
            ("data", 0),
            stream(Activity, lambda one: one.partition(WALLET), END),
            rows(NAMES | CASH, "data", wallet=WALLET),
        ),
        Source(
            "data.positions",
            [{"data": [POSITION], **PAGED}],
            ("data", 0),
            stream(Positions, lambda one: one.partition(WALLET), END),
        ),
        Source(
            "data.value",
            [{"data": {"proxy_wallet": WALLET, "value": 12.5}}],
            ("data",),
            stream(Values, lambda one: one.partition(WALLET), {"data": None}),
        ),
        Source(
            "data.holders",
            [
                {
                    "data": [
                        {
                            "token_id": TOKENS[0],
                            "holders": [{"proxy_wallet": WALLET, "amount": 5.5, "outcome_index": 0}],
                        }
                    ],
                    **PAGED,
                }
            ],
            ("data", 0),
            stream(Holders, lambda one: one.partition([CONDITION]), END),
        ),
        Source(
            "data.resolutions",
            [{"data": [RESOLUTION, RESOLUTION | {"status": "posed", "payouts": None}]}],
            ("data", 0),
            stream(Resolutions, lambda one: one.partition([CONDITION]), END),
        ),
        Source(
            "data.tokens", [{"data": [TOKEN_ROW]}], ("data", 0), stream(Tokens, lambda one: one.partition(TOKENS), END)
        ),
        Source(
            "data.user-pnl",
            [{"data": {"proxy_wallet": WALLET, "points": [POINT]}}],
            ("data", "points", 0),
            stream(UserPnl, lambda one: one.partition(WALLET), {"data": None}),
        ),
        Source(
            "data.user-stats",
            [{"data": {"proxy_wallet": WALLET, "trades": 5, "all_time_pnl": POINT}}],
            ("data",),
            stream(UserStats, lambda one: one.partition(WALLET), {"data": None}),
        ),
        Source(
            "data.leaderboard", [standing], ("data", 0), stream(Leaderboard, lambda one: one.partitions(NOW)[0], END)
        ),
        Source(
            "data.winners",
            [{"data": [WIN], **PAGED}],
            ("data", 0),
            stream(BiggestWinners, lambda one: one.partitions(NOW)[0], END),
        ),
    ]


def _first_version() -> list[Source]:
    from polyhouse.sources.data_v1 import ActivityV1
    from polyhouse.sources.data_v1_positions import ClosedPositionsV1, PositionsV1
    from polyhouse.sources.data_v1_trades import TradesV1

    closed = {name: value for name, value in V1_POSITION.items() if name != "size"} | {
        "totalBought": 20,
        "curPrice": 1,
    }
    sell = V1_TRADE | {"side": "SELL", "timestamp": 1_779_999_999}
    rows = oracle.rest_rows
    return [
        Source(
            "data_v1.activity",
            [[V1_ACTIVITY, V1_ACTIVITY | {"type": "SPLIT", "price": 0, "timestamp": 1_780_000_001}]],
            (0,),
            stream(ActivityV1, lambda one: one.partition(WALLET), []),
            rows(V1_NAMES | V1_CASH, wallet=WALLET),
        ),
        Source(
            "data_v1.trades",
            [[V1_TRADE, sell]],
            (0,),
            stream(TradesV1, lambda one: one.partition(WALLET), []),
            rows(V1_NAMES, kind="TRADE"),
        ),
        Source("data_v1.positions", [[V1_POSITION]], (0,), stream(PositionsV1, lambda one: one.partition(WALLET), [])),
        Source(
            "data_v1.closed-positions",
            [[closed]],
            (0,),
            stream(ClosedPositionsV1, lambda one: one.partition(WALLET), []),
        ),
    ]


def _lists() -> list[Source]:
    from polyhouse.sources import clob, gamma
    from polyhouse.sources.dome import DomeOrders
    from polyhouse.sources.gamma_rows import Batch
    from polyhouse.sources.goldsky import GoldskyFills
    from polyhouse.sources.live import LiveTrades
    from polyhouse.sources.prices import PriceHistory

    def events(body: bytes) -> Reading:
        return gamma_batch(HttpClient._decoded("fuzz", body, gamma._events_page.decode).events, gamma._add_events)

    def markets(body: bytes) -> Reading:
        return gamma_batch(HttpClient._decoded("fuzz", body, gamma._markets_page.decode).markets, gamma._add_markets)

    def gamma_batch(rows: Any, add: Callable[[Batch, Any], None]) -> Reading:
        reading, batch = Reading(), Batch("fuzz")
        add(batch, rows)
        take_page(reading, gamma.GammaEvents._page(batch, {}, is_last=True))
        return reading

    def clob_markets(body: bytes) -> Reading:
        reading, answer = Reading(), HttpClient._decoded("fuzz", body, clob._page.decode)
        clob.offset_of(answer.next_cursor or "")
        batch = clob._read(answer.data or [], "fuzz")
        take_page(reading, Page(batch.tables(), {}, is_last=True, fetched=batch.fetched, rejected=batch.rejects))
        return reading

    def live(body: bytes) -> Reading:
        socket = LiveTrades("ws://127.0.0.1", Clock())
        for frame in (body, body.decode("utf-8", "replace")):
            socket._read(frame)
        return Reading(accepted=socket.counts["hints"], ignored=socket.counts["unreadable"])

    sides = [FILL, FILL | {"id": f"{TX}_0x{'6' * 64}", "makerAssetId": TOKENS[0], "takerAssetId": "0", "fee": "0"}]
    fills = ("wallet", "token", "tx", "kind", "ts", "shares", "cash")
    return [
        Source("gamma.events", [{"events": [EVENT], "next_cursor": None}], ("events", 0), events),
        Source("gamma.markets", [{"markets": [MARKET], "next_cursor": None}], ("markets", 0), markets),
        Source("clob.markets", [{"data": [CLOB], "next_cursor": "LTE="}], ("data", 0), clob_markets),
        Source(
            "clob.prices",
            [{"history": [{"t": 1_780_000_000, "p": 0.45}]}],
            ("history", 0),
            stream(
                PriceHistory,
                lambda one: one.partition(bytes.fromhex(f"{int(TOKENS[0]):064x}"), 1_779_999_000, 1_780_001_000),
                {"history": []},
            ),
        ),
        Source(
            "dome.orders",
            [{"orders": [DOME], "pagination": {"has_more": False, "pagination_key": None}}],
            ("orders", 0),
            stream(DomeOrders, lambda one: one.partition(WALLET), {"orders": [], "pagination": {"has_more": False}}),
            oracle.dome_rows,
        ),
        Source(
            "goldsky.fills",
            [{"data": {"orderFilledEvents": sides}}],
            ("data", "orderFilledEvents", 0),
            stream(GoldskyFills, lambda one: one.partitions()[60], {"data": {"orderFilledEvents": []}}, fills),
            lambda body: oracle.order_rows(body, v2_fees=False),
        ),
        Source("live", [LIVE], (), live),
    ]


def _chain() -> list[Source]:
    import msgspec

    from polyhouse.sources.chain.blocks import sorted_logs
    from polyhouse.sources.chain.decode import DecodedBatch, decode
    from polyhouse.sources.chain.hypersync import HypersyncReader
    from polyhouse.sources.chain.provider import _results

    def judged(batch: DecodedBatch) -> Reading:
        reading = Reading(batch.decoded, Counter(one.reason for one in batch.rejects), sum(batch.ignored.values()))
        reading.rejected.update(one.reason for one in batch.quarantined)
        assert batch.fetched == reading.accepted + reading.ignored + sum(reading.rejected.values())
        sum(1 for _ in batch.to_logs())
        for kind, columns in batch.columns.items():
            ids = {name: [bytes(row) for row in columns.ids(name)] for name in _IDS_OF.get(kind, ())}
            ints = {name: columns.ints(name).tolist() for name in _INTS_OF.get(kind, ())}
            for row in range(len(columns) if ids else 0):
                where = bytes(columns.tx[row]), int(columns.log_index[row]), int(columns.block[row])
                reading.checked[
                    (kind, *where, *(one[row] for one in ids.values()), *(one[row] for one in ints.values()))
                ] += 1
        return reading

    def rpc(body: bytes) -> Reading:
        answer = HttpClient._decoded("fuzz", body, lambda text: _results(msgspec.json.decode(text), 1, "fuzz"))
        return judged(decode(sorted_logs(answer, FIRST, LAST)))

    def hypersync(body: bytes) -> Reading:
        reader = HypersyncReader(None, OneAnswer(body, b""))  # type: ignore[arg-type]
        page = drive(reader._page([], FIRST, LAST))
        return judged(decode(page.logs))

    return [
        Source("rpc", [RPC], ("result", 0), rpc, oracle.log_rows),
        Source("hypersync", [SYNCED], ("data", 0, "logs", 0), hypersync),
    ]


_IDS_OF = {"order_filled_v2": ("order", "maker", "taker", "token"), "transfer_single": ("sender", "to", "token")}
_INTS_OF = {"order_filled_v2": ("side", "maker_amount", "taker_amount", "fee"), "transfer_single": ("amount",)}


def _as_csv(tree: Any) -> bytes:
    """Rows as comma-separated text; what is no row of plain values becomes its JSON text."""
    if not isinstance(tree, list) or not tree or not all(isinstance(row, dict) for row in tree):
        return whole(tree)
    out = io.StringIO(newline="")
    header = list(dict.fromkeys(name for row in tree for name in row))
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([_cell(row.get(name)) for name in header] for row in tree)
    return out.getvalue().encode("utf-8", "surrogatepass")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else dump(value)


def _files() -> list[Source]:
    from polyhouse.cli.import_logs import log_tables
    from polyhouse.sources.files import read
    from polyhouse.sources.files.addresses import read_addresses

    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None))

    def file(suffix: str, names: tuple[str, ...] = CHECKED) -> Callable[[bytes], Reading]:
        path = folder / f"rows{suffix}"

        def rows(body: bytes) -> Reading:
            path.write_bytes(body)
            reading = Reading()
            for batch in read(path, now=NOW):
                take(reading, batch.tables, names)
                reading.rejected.update(one.reason for one in batch.rejects)
                reading.ignored += batch.ignored + batch.repeated
                for one in batch.rejects:
                    assert isinstance(one.raw, str), one
            return reading

        return rows

    def logs(body: bytes) -> Reading:
        path = folder / "logs.json"
        path.write_bytes(body)
        tables, _, rejects = log_tables(path)
        reading = Reading(rejected=Counter(one.reason for one in rejects))
        take(reading, {name: columns for name, columns in tables.items() if name != "observations"})
        reading.accepted += (
            to_arrow(BY_NAME["observations"], tables["observations"], run=1).num_rows if "observations" in tables else 0
        )
        return reading

    def addresses(body: bytes) -> Reading:
        path = folder / "wallets.txt"
        path.write_bytes(body)
        reading = Reading()
        for group in read_addresses(path):
            reading.accepted += len(group.either) + len(group.owners)
            reading.rejected += Counter(bad=len(group.bad))  # which keeps what is above 0
        return reading

    rows = oracle.rest_rows
    fills = ("wallet", "token", "tx", "kind", "ts", "shares", "cash")
    lines = [V1_ACTIVITY, V1_ACTIVITY | {"type": "REDEEM", "price": 0, "timestamp": 1_780_000_001}]
    wallets = f"wallet,owner\n{WALLET},0x{'3' * 40}\n# note\n0x{'4' * 40},\n"
    return [
        Source("file activity", [lines, {"data": lines}], (0,), file(".json"), rows(V1_NAMES | V1_CASH)),
        Source("file trades", [[V1_TRADE, V1_TRADE]], (0,), file(".json"), rows(V1_NAMES, kind="TRADE")),
        Source("file activity csv", [lines], (0,), file(".csv"), None, _as_csv),
        Source("file dome", [{"orders": [DOME]}], ("orders", 0), file(".json"), oracle.dome_rows),
        Source(
            "file orderfilled",
            [{"orderFilledEvents": [FILL]}, [FILL]],
            ("orderFilledEvents", 0),
            file(".json", fills),
            lambda body: oracle.order_rows(body, v2_fees=True),
        ),
        Source("file orderfilled csv", [[FILL]], (0,), file(".csv"), None, _as_csv),
        Source("file positions", [[V1_POSITION]], (0,), file(".json")),
        Source("file user-positions", [[USER_POSITION]], (0,), file(".json")),
        Source("file logs", [{"logs": [VECTOR_LOG]}], ("logs", 0), logs),
        Source(
            "file wallets",
            [wallets],
            (),
            addresses,
            None,
            lambda tree: tree.encode() if isinstance(tree, str) else whole(tree),
        ),
    ]


def sources() -> dict[str, Source]:
    """All of them by name."""
    every = [*_data_api(), *_first_version(), *_lists(), *_chain(), *_files()]
    return {source.name: source for source in every}
