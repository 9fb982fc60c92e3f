"""What the chain itself says about markets: conditions, their tokens, neg-risk markets, pools.

Tokens are derived offline from the condition and its collateral; nothing but the logs is needed. ConditionalTokens is a
shared contract: a condition is Polymarket's if an oracle of Polymarket's prepared it, if an exchange registered its
tokens, if the pool factory made a pool for it, or if another source named it as a market.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from polyhouse.domain import contracts, ids
from polyhouse.domain.log_columns import Bytes, LogColumns, Ragged
from polyhouse.ledger.amm import lp_token
from polyhouse.ledger.named_ids import named_ids
from polyhouse.ledger.registry import ConditionInfo, NegRiskMarket, Registry
from polyhouse.ports import Warehouse
from polyhouse.sources.chain.decode import DecodedBatch
from polyhouse.sync.store import RunState
from polyhouse.tables import Columns

ORACLES = frozenset({contracts.NEG_RISK_ADAPTER, contracts.NEG_RISK_UMA_ADAPTER, contracts.UMA_SPORTS_ORACLE})
"""Oracles that prepare conditions for Polymarket alone."""

UNSETTLED_NOTE = "chain.unsettled"
_IDS_AT_ONCE = 2_000
_CACHED = 200_000
_NONE = bytes(32)
_HEX_IDS = "(SELECT unhex(arrayJoin({ids:Array(String)})))"
_HEX_TOKENS = "(SELECT toFixedString(unhex(arrayJoin({ids:Array(String)})), 32))"


def rows_of(matrix: Bytes) -> list[bytes]:
    """The ids of a column as ``bytes``."""
    return [bytes(row) for row in matrix]


def _bytes(columns: LogColumns, name: str) -> list[bytes]:
    return rows_of(columns.ids(name))


def market_rows(batch: DecodedBatch) -> tuple[dict[str, Columns], Counter[str]]:
    """Rows of ``markets``, ``tokens`` and ``chain_pools`` from the registry logs of a batch, and what was left out.

    The LP shares of a pool are a token and a unit of their own (accounting §2.7).
    """
    notes: Counter[str] = Counter()
    market: Columns = {name: [] for name in _MARKET_COLUMNS}
    token: Columns = {name: [] for name in ("token", "condition", "outcome", "verified", "source")}
    prepared = batch.columns.get("condition_prepared")
    if prepared is not None:
        slots = [int(value) for value in prepared.fields["slots"]]  # type: ignore[union-attr]
        ids_of = (_bytes(prepared, name) for name in ("condition", "oracle", "question"))
        for condition, oracle, question, count in zip(*ids_of, slots, strict=True):
            if count != 2:
                notes["conditions_with_more_slots"] += 1
            elif oracle not in ORACLES:
                notes["foreign_conditions"] += 1
            elif ids.condition_id(oracle, question) != condition:
                notes["contradicting_conditions"] += 1
            else:
                is_neg_risk = oracle == contracts.NEG_RISK_ADAPTER
                pair = ids.token_ids(condition, contracts.WCOL if is_neg_risk else contracts.USDC_E)
                _append(market, token, condition, pair, question, is_neg_risk=is_neg_risk)
    tables = {"markets": market, "tokens": token}
    created = batch.columns.get("pool_created")
    if created is not None:
        tables["chain_pools"] = _pool_rows(created, notes)
        for pool in tables["chain_pools"]["pool"]:
            lp = lp_token(pool)
            for name, item in zip(token, (lp, lp, 0, True, "chain"), strict=True):
                token[name].append(item)
    return tables, notes


_MARKET_COLUMNS = ("condition", "source", "question_id", "tokens", "neg_risk", "neg_risk_market", "question_index")


def _append(
    market: Columns, token: Columns, condition: bytes, pair: tuple[bytes, bytes], question: bytes, *, is_neg_risk: bool
) -> None:
    neg_risk_market = ids.neg_risk_market_of(question) if is_neg_risk else b""
    index = question[31] if is_neg_risk else 65_535
    values = (condition, "chain", question, list(pair), is_neg_risk, neg_risk_market, index)
    for name, value in zip(_MARKET_COLUMNS, values, strict=True):
        market[name].append(value)
    for outcome, one in enumerate(pair):
        for name, item in zip(token, (one, condition, outcome, True, "chain"), strict=True):
            token[name].append(item)


def _pool_rows(created: LogColumns, notes: Counter[str]) -> Columns:
    conditions = created.fields["conditions"]
    assert isinstance(conditions, Ragged)
    rows: Columns = {"pool": [], "condition": [], "block": []}
    starts = conditions.starts.tolist()
    for row, (pool, collateral) in enumerate(zip(_bytes(created, "pool"), _bytes(created, "collateral"), strict=True)):
        of_pool = [bytes(one) for one in conditions.values[starts[row] : starts[row + 1]]]
        if len(of_pool) != 1 or collateral != contracts.USDC_E:
            notes["foreign_pools"] += 1
            continue
        rows["pool"].append(pool)
        rows["condition"].append(of_pool[0])
        rows["block"].append(int(created.block[row]))
    return rows


def mark_unsettled(state: RunState, block: int) -> None:
    """Remember, before registry logs from ``block`` on change, that ``settle`` has to follow."""
    known = state.get_note(UNSETTLED_NOTE)
    state.set_note(UNSETTLED_NOTE, block if known is None else min(block, int(known)))


def settle_noted(warehouse: Warehouse, state: RunState, run: int, token: str) -> None:
    """``settle`` what was marked, if anything was; an interrupted run's mark is settled by the next one."""
    known = state.get_note(UNSETTLED_NOTE)
    if known is not None:
        settle(warehouse, run, token, int(known))
        state.set_note(UNSETTLED_NOTE, None)


def settle(warehouse: Warehouse, run: int, token: str, since: int) -> None:
    """Write what takes several logs to know, once all registry logs up to the end are stored.

    Neg-risk markets: the number of their questions and the fee. Conditions that only an exchange's registration or a
    pool speaks for: their tokens. A function of the stored logs, so it may be repeated.

    Args:
        warehouse: with the registry logs.
        run: number of the run.
        token: name of the write.
        since: only markets that a log from this block on mentions.
    """
    _settle_neg_risk(warehouse, run, token, since)
    wanted = [
        (bytes.fromhex(row[0]), bytes.fromhex(row[1]))
        for row in warehouse.query(
            "SELECT DISTINCT hex(topics[4]), hex(topics[2]) FROM chain_logs FINAL"
            " WHERE status = 'registry' AND event = 'TokenRegistered' AND length(topics) = 4 AND block >= {b:UInt32}",
            {"b": since},
        ).rows
    ]
    wanted += [
        (bytes(row[0]), _NONE)
        for row in warehouse.query(
            "SELECT DISTINCT condition FROM chain_pools FINAL WHERE block >= {b:UInt32}", {"b": since}
        ).rows
    ]
    _write_proven(warehouse, run, token, wanted)


def _settle_neg_risk(warehouse: Warehouse, run: int, token: str, since: int) -> None:
    rows = warehouse.query(
        """
        SELECT hex(topics[2]) AS id,
               maxIf(reinterpretAsUInt16(reverse(data[1])) + 1, event = 'QuestionPrepared') AS questions,
               maxIf(reinterpretAsUInt32(reverse(data[1])), event = 'MarketPrepared') AS bips
        FROM chain_logs FINAL
        WHERE status = 'registry' AND event IN ('QuestionPrepared', 'MarketPrepared') AND notEmpty(data)
          AND topics[2] IN (SELECT topics[2] FROM chain_logs FINAL WHERE status = 'registry' AND block >= {b:UInt32}
                            AND event IN ('QuestionPrepared', 'MarketPrepared'))
        GROUP BY 1 ORDER BY 1
        """,
        {"b": since},
    ).rows
    if rows:
        columns: Columns = {
            "market": [bytes.fromhex(row[0]) for row in rows],
            "question_count": [int(row[1]) for row in rows],
            "fee_bips": [int(row[2]) for row in rows],
            "source": ["chain"] * len(rows),
        }
        warehouse.write("neg_risk_markets", columns, run=run, token=token)


def _write_proven(warehouse: Warehouse, run: int, token: str, wanted: Sequence[tuple[bytes, bytes]]) -> None:
    named = _described(warehouse, [condition for condition, _ in wanted])
    # Gamma lists a market before it tells the tokens: that is not to know it.
    known = {condition for condition, pair, *_ in named if len(pair) == 2}
    market: Columns = {name: [] for name in _MARKET_COLUMNS}
    tokens: Columns = {name: [] for name in ("token", "condition", "outcome", "verified", "source")}
    for condition, registered in dict(wanted).items():
        if condition in known:
            continue
        for collateral in (contracts.USDC_E, contracts.WCOL):
            pair = ids.token_ids(condition, collateral)
            if registered in pair or registered == _NONE:
                _append(market, tokens, condition, pair, _NONE, is_neg_risk=False)
                break
    if market["condition"]:
        warehouse.write("markets", market, run=run, token=token)
        warehouse.write("tokens", tokens, run=run, token=token)


def _described(warehouse: Warehouse, conditions: Iterable[bytes]) -> Iterator[tuple[bytes, list[bytes], bytes, int]]:
    """(condition, its two tokens, neg-risk market, question index) of those that any source describes."""
    for some in _chunks(conditions):
        yield from (
            (bytes(row[0]), [bytes(one) for one in row[1]], bytes(row[2]), int(row[3]))
            for row in warehouse.query(
                f"""
                SELECT condition, argMaxIf(tokens, p, length(tokens) = 2) AS tokens,
                       argMaxIf(neg_risk_market, p, neg_risk_market != '') AS neg_risk_market,
                       argMaxIf(question_index, p, question_index != 65535) AS question_index
                FROM (SELECT *, transform(toString(source), ['chain', 'gamma', 'clob', 'file'], [4, 3, 2, 1], 0) AS p
                      FROM markets FINAL WHERE condition IN {_HEX_IDS})
                GROUP BY condition
                """,
                {"ids": some},
            ).rows
        )


def _chunks(found: Iterable[bytes]) -> Iterator[list[str]]:
    names = sorted({one.hex() for one in found if one})
    for start in range(0, len(names), _IDS_AT_ONCE):
        yield names[start : start + _IDS_AT_ONCE]


class RegistryCache:
    """Loads what a batch of logs needs to be understood, and keeps what is known; nothing unknown is remembered.

    Args:
        warehouse: where markets, tokens and pools are.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._conditions: dict[bytes, ConditionInfo] = {}
        self._condition_of: dict[bytes, bytes] = {}
        self._markets: dict[bytes, NegRiskMarket] = {}
        self._pools: dict[bytes, bytes] | None = None

    def registry(self, columns: Mapping[str, LogColumns]) -> Registry:
        """The registry of everything that these logs (kind → columns) mention."""
        if len(self._conditions) > _CACHED:
            self._conditions.clear()
            self._condition_of.clear()
        named = named_ids(columns)
        if self._pools is None:
            self._pools = {
                bytes(row[0]): bytes(row[1])
                for row in self._warehouse.query("SELECT pool, condition FROM chain_pools FINAL").rows
            }
        pools = {pool: self._pools[pool] for pool in named.pools if pool in self._pools}
        self._load_tokens(named.tokens)
        conditions = named.conditions | set(pools.values())
        conditions |= {self._condition_of[token] for token in named.tokens if token in self._condition_of}
        conditions |= self._load_markets(named.markets)
        self._load_conditions(conditions)
        infos = [self._conditions[one] for one in sorted(conditions) if one in self._conditions]
        markets = [self._markets[one] for one in sorted(named.markets) if one in self._markets]
        return Registry(infos, markets, pools, extra_infra=self._pools)

    def _load_tokens(self, tokens: set[bytes]) -> None:
        for some in _chunks(token for token in tokens if token not in self._condition_of):
            for token, condition in self._warehouse.query(
                f"SELECT token, condition FROM tokens FINAL WHERE token IN {_HEX_TOKENS}", {"ids": some}
            ).rows:
                self._condition_of[bytes(token)] = bytes(condition)

    def _load_markets(self, markets: set[bytes]) -> set[bytes]:
        """Conditions of the neg-risk markets that conversions name."""
        found: set[bytes] = set()
        for some in _chunks(markets):
            for market, count, bips in self._warehouse.query(
                f"SELECT market, question_count, fee_bips FROM neg_risk_markets FINAL WHERE market IN {_HEX_IDS}",
                {"ids": some},
            ).rows:
                self._markets[bytes(market)] = NegRiskMarket(bytes(market), int(count), int(bips))
            found |= {
                bytes(row[0])
                for row in self._warehouse.query(
                    f"SELECT DISTINCT condition FROM markets FINAL WHERE neg_risk_market IN {_HEX_IDS}", {"ids": some}
                ).rows
            }
        return found

    def _load_conditions(self, conditions: set[bytes]) -> None:
        unknown = {one for one in conditions if one not in self._conditions}
        bare: set[bytes] = set()
        described: dict[bytes, tuple[bytes, int]] = {}
        for condition, tokens, market, index in _described(self._warehouse, unknown):
            if len(tokens) == 2:
                self._keep(condition, (tokens[0], tokens[1]), market, index)
            else:
                described[condition] = market, index
        bare = unknown - self._conditions.keys()
        # A source that names a condition without its tokens, or tokens without their market: rare, so one scan will do.
        for some in _chunks(bare):
            for row in self._warehouse.query(
                "SELECT condition, arrayMap(x -> x.2, arraySort(groupArray((outcome, token)))) AS tokens"
                f" FROM tokens FINAL WHERE condition IN {_HEX_IDS} GROUP BY condition",
                {"ids": some},
            ).rows:
                condition, tokens = bytes(row[0]), [bytes(one) for one in row[1]]
                if len(tokens) == 2:
                    self._keep(condition, (tokens[0], tokens[1]), *described.get(condition, (b"", 0)))

    def _keep(self, condition: bytes, pair: tuple[bytes, bytes], market: bytes, index: int) -> None:
        self._conditions[condition] = ConditionInfo(condition, pair, market, index)
        for token in pair:
            self._condition_of[token] = condition
