"""Raw logs of the simulated node: decoded in bulk they mean exactly what the universe's own logs mean."""

from collections import Counter

import pytest

from polyhouse.domain.logs import Income
from polyhouse.ledger.chain import observations
from polyhouse.ledger.fill_columns import chain_rows
from polyhouse.ledger.named_ids import named_ids
from polyhouse.sim.node import Node, NodeQuirks
from polyhouse.sim.universe import Universe
from polyhouse.sources.chain.decode import decode


@pytest.fixture(scope="module")
def chain(universe_reader):
    """A universe as raw logs of a node with strangers on it, decoded, and as its own logs."""
    universe = Universe(seed=11, wallets=50, fills=2_000, with_transfers=True)
    node = Node(universe, NodeQuirks(noise_every=20, unknown_every=50))
    blocks = node.numbers(0, node.head, node.branch)
    raw = [log for block in blocks for log in node.logs(block, node.branch)]
    times = {block: node.timestamp(block, node.branch) for block in blocks}
    return universe_reader(universe, until=universe.now), raw, decode(raw, block_times=times)


def test_every_log_is_accounted_for(chain):
    _, raw, batch = chain
    assert not batch.rejects
    assert batch.fetched == len(raw)
    assert batch.decoded + len(batch.quarantined) + sum(batch.ignored.values()) == len(raw)
    words = Counter(alert.word for alert in batch.alerts)
    assert words["unknown_topic"] + words["unknown_contract"] + words["unknown_exchange"] > 0
    assert {"condition_prepared", "market_prepared", "question_prepared"} <= set(batch.columns)


def test_the_same_rows_as_from_the_universe_itself(chain):
    case, _, batch = chain
    ours = {log.tx for part in case.transactions for log in part}
    logs = [log for log in batch.to_logs() if log.tx in ours]
    found = observations([logs], case.registry, use_transfers=True)
    expected = observations(
        [[log for log in part if not isinstance(log, Income)] for part in case.transactions],
        case.registry,
        use_transfers=True,
    )
    assert sorted(map(_meaning, found.observations)) == sorted(map(_meaning, expected.observations))
    assert {r.condition: r.numerators for r in found.resolutions} == {
        r.condition: r.numerators for r in expected.resolutions
    }


def test_columns_and_objects_agree_on_the_node(chain):
    case, raw, batch = chain
    expected = observations([list(batch.to_logs())], case.registry, use_transfers=True)
    result = chain_rows(batch.columns, case.registry, use_transfers=True)
    tables = expected.tables()
    assert {name: result.observations[name] for name in tables["observations"]} == tables["observations"]
    assert (result.resolutions, result.flags) == (tables["resolutions"], expected.flags)
    assert result.row_wise < len(raw) * 0.7


def test_named_ids_are_those_of_the_objects(chain):
    _, _, batch = chain
    named = named_ids(batch.columns)
    logs = list(batch.to_logs())
    fields = ("token", "maker_asset", "taker_asset", "asset")
    tokens = {getattr(log, name) for log in logs for name in fields if hasattr(log, name)}
    tokens |= {token for log in logs for token, _ in getattr(log, "moves", ())}
    assert named.tokens == tokens - {bytes(32)}
    assert named.conditions == {log.condition for log in logs if hasattr(log, "condition")}
    assert named.markets == {log.market for log in logs if hasattr(log, "market")}


def _meaning(row):
    """A row without its place: strangers on the node and transfers merged into one log shift the numbers."""
    return repr(row._replace(tx_index=0, pos=0, match_pos=0, sub=0))
