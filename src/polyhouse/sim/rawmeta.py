"""Raw logs of a simulated chain that are no user's doing: prepared markets and conditions, and what strangers do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

from polyhouse.domain import contracts, ids
from polyhouse.sim.abi import ZERO_WORD, account, address, blob, fixed, number, numeral, offset, tail
from polyhouse.sim.model import SimEvent, SimMarket
from polyhouse.sim.rawlogs import CTF, NRA, USDC_E, WCOL, RawLog, oracle_of, raw

_OPERATOR = ids.format_address(contracts.NEG_RISK_OPERATOR)
_FACTORY = ids.format_address(contracts.FPMM_FACTORY)
_DAI = "0x8f3cf7ad23cd3cadbd9735aff958023239c6a063"
_TITLE_LIMIT = 64


def prepared(event: SimEvent, after: int | None, until: int) -> Iterator[tuple[int, str, list[RawLog]]]:
    """(time, name of the transaction, its logs) of everything that has to exist before an event can be traded, as far
    as it happened after ``after`` (None: ever) and not after ``until``.
    """
    start = -1 if after is None else after
    if event.neg_risk and start < event.created_ts <= until:
        market = fixed(event.neg_risk_market_id)
        data = number(event.neg_risk_fee_bips) + offset(2) + blob(event.title.encode()[:_TITLE_LIMIT])
        logs = [raw(NRA, "MarketPrepared", [market, account(_OPERATOR)], data)]
        yield event.created_ts, f"market {event.neg_risk_market_id}", logs
    for listed in event.markets:
        if start < listed.created_ts <= until:
            yield listed.created_ts, f"condition {listed.condition_id}", list(_condition(listed))
        pool = listed.pool
        if pool is not None and start < pool.created_ts <= until:
            created = pool_created(pool.address, pool.creator, [listed.condition_id], pool.fee)
            yield pool.created_ts, f"pool {pool.address}", [created]


def _condition(market: SimMarket) -> Iterator[RawLog]:
    oracle = oracle_of(market)
    condition, question = fixed(market.condition_id), fixed(market.question_id)
    yield raw(CTF, "ConditionPreparation", [condition, account(oracle), question], number(2))
    if market.neg_risk:
        data = number(market.question_index) + offset(2) + blob(market.question.encode()[:_TITLE_LIMIT])
        yield raw(NRA, "QuestionPrepared", [fixed(market.neg_risk_market_id), question], data)
    if market.created_ts < contracts.CLOB_V2_CUTOVER_TS and market.pool is None:
        first, second = market.token_ids
        exchange = address("NEX1" if market.neg_risk else "EX1")
        # The exchange registers both directions.
        for pair in ((first, second), (second, first)):
            yield raw(exchange, "TokenRegistered", [numeral(pair[0]), numeral(pair[1]), condition], "")


def pool_created(pool: str, creator: str, conditions: Iterable[str], fee: int) -> RawLog:
    """The factory's log of a new AMM pool; ``fee`` in 10^-18 of the investment."""
    items = tail([fixed(condition) for condition in conditions])
    indexed = [account(creator), account(CTF), account(USDC_E)]
    return raw(_FACTORY, "FPMMCreation", indexed, account(pool) + offset(3) + number(fee) + items)


def foreign(rng: Random, ours: SimMarket) -> list[RawLog]:
    """What another application does on the shared ConditionalTokens contract in one transaction.

    Its conditions have other oracles or more than two slots, its splits other collaterals, parents or partitions; now
    and then a stranger splits a condition of ``ours`` with a collateral that is not ours. None of it is a position of
    Polymarket.
    """
    oracle, who = _someone(rng), _someone(rng)
    question, slots = rng.randbytes(32), 2 + rng.randrange(2)
    condition = ids.format_hash(ids.keccak(bytes.fromhex(oracle[2:]) + question + slots.to_bytes(32, "big")))
    asked = [fixed(condition), account(oracle), question.hex()]
    kind = rng.randrange(4)
    if kind == 0:
        numerators = [number(rng.randrange(2)) for _ in range(slots - 1)]
        return [
            raw(CTF, "ConditionPreparation", asked, number(slots)),
            raw(CTF, "ConditionResolution", asked, number(slots) + offset(2) + tail([*numerators, number(1)])),
        ]
    amount = 1 + rng.getrandbits(60)
    collateral = (_DAI, USDC_E, WCOL)[rng.randrange(3)]
    parent = ZERO_WORD
    if kind == 1:
        # Our condition, but neither our collateral nor a position of its own: nothing we count.
        condition, slots = ours.condition_id, 2
        collateral, parent = (_DAI, parent) if rng.randrange(2) else (USDC_E, rng.randbytes(32).hex())
    sets = tail([number(1 << place) for place in range(slots)])
    tokens = [rng.randbytes(32).hex() for _ in range(slots)]
    head = offset(2) + offset(3 + slots) + tail(tokens) + tail([number(amount)] * slots)
    if kind == 3:
        burned = raw(CTF, "TransferBatch", [account(who), account(who), ZERO_WORD], head)
        data = fixed(condition) + offset(3) + number(amount) + sets
        return [burned, raw(CTF, "PayoutRedemption", [account(who), account(collateral), parent], data)]
    minted = raw(CTF, "TransferBatch", [account(who), ZERO_WORD, account(who)], head)
    data = account(collateral) + offset(3) + number(amount) + sets
    return [minted, raw(CTF, "PositionSplit", [account(who), parent, fixed(condition)], data)]


def unknown(rng: Random) -> list[RawLog]:
    """A log of a known contract under a topic that nobody has documented."""
    contract = (CTF, NRA, address("EX2"), address("NEX2"))[rng.randrange(4)]
    topic = "0x" + ids.topic(f"Unheard{rng.randrange(3)}(uint256)").hex()
    return [RawLog(contract, (topic,), "0x" + number(rng.getrandbits(64)))]


def _someone(rng: Random) -> str:
    return "0x" + rng.randbytes(20).hex()
