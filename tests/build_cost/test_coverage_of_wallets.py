"""``wallet_coverage`` says what an SQL statement over the ledger, the positions and the reports says."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyhouse.models.runner import build
from polyhouse.warehouse.lexer import split_statements
from polyhouse.warehouse.store import ClickHouseWarehouse

FOLDER = Path(__file__).parent
ORACLE = (FOLDER / "coverage_oracle.sql").read_text(encoding="utf-8").replace("/*wallets*/", "1")


def _insert(warehouse: ClickHouseWarehouse, name: str) -> None:
    for statement in split_statements((FOLDER / name).read_text(encoding="utf-8")):
        warehouse.command(statement)


def _agree(warehouse: ClickHouseWarehouse) -> set[str]:
    """Hold the table against the statement; the reasons that occur."""
    columns = "SELECT wallet, coverage, provisional FROM"
    told = warehouse.query(f"{columns} wallet_coverage FINAL ORDER BY wallet").rows
    assert told == warehouse.query(f"{columns} ({ORACLE}) ORDER BY wallet").rows
    return {reason for _, _, reasons in told for reason in reasons} | {coverage for _, coverage, _ in told}


@pytest.mark.timeout(300)
def test_coverage_is_that_of_the_statement(warehouse: ClickHouseWarehouse) -> None:
    """As the chain tells it; with rows of every kind of source; as reported; and after a build of a few wallets."""
    assert _agree(warehouse) <= {"chain", "resolution", "unseen_shares"}
    _insert(warehouse, "strange_rows.sql")
    build(warehouse)
    assert {"mixed", "rest", "fills_only", "redemption", "unmapped", "unseen_shares"} <= _agree(warehouse)
    _insert(warehouse, "reported_rows.sql")
    few = "SELECT wallet FROM wallet_coverage FINAL WHERE cityHash64(wallet) % 3 = 0"
    build(warehouse, [bytes(wallet) for (wallet,) in warehouse.query(few).rows])
    build(warehouse)
    assert {"shares_differ", "chain"} <= _agree(warehouse)
