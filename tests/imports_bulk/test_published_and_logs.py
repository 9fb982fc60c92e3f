"""Published figures and decoded logs from files."""

import json

import pytest

from polyhouse.models.runner import build
from polyhouse.sources.files.published import token_of_signed

from .conftest import RECORDED, order_row

pytestmark = pytest.mark.usefixtures("accounts_only")

needs_recorded = pytest.mark.skipif(
    not RECORDED.exists(), reason="the recorded answers (../shared/recorded) are not here"
)


@needs_recorded
def test_the_recorded_scan_of_the_pnl_subgraph_adds_up(load, stores):
    path = RECORDED / "Br4cky__polymarket-wallet-engine/data/wallets.subset.json.gz"
    first, second = load(path, path)
    assert (first.format, first.rows_read, first.rows_new, first.rows_rejected) == ("user-positions", 16_354, 16_354, 0)
    assert (second.rows_new, second.rows_repeated) == (0, 16_354)
    wallets, realized, negative = stores.warehouse.query(
        "SELECT uniqExact(wallet), sum(realized), countIf(startsWith(token_id, '-')) FROM published_positions FINAL"
    ).rows[0]
    assert (wallets, round(int(realized) / 1_000_000, 2)) == (21, 210_676.44)
    assert negative > 0
    row = stores.warehouse.query(
        "SELECT amount, realized, bought FROM published_positions FINAL"
        " WHERE token_id = '-323262971617747205072483762551192255747060961480'"
    ).rows
    assert row == [(5_000, -44_205_536, 23_355_749)]


def test_an_id_with_a_sign_means_the_pool_whose_address_it_is():
    pool = bytes.fromhex("78b4ffc1a05c4d0fb1e6a6d0a05c4d0fb1e660c7")
    printed = str(int.from_bytes(pool, "little", signed=True))
    assert printed.startswith("-")
    assert token_of_signed(printed) == bytes(12) + pool
    assert token_of_signed(str(2**255)) == (2**255).to_bytes(32, "big")


def test_raw_rows_of_the_subgraph_are_integers_and_must_agree_with_their_id(load, stores, rejected, tmp_path):
    user = "0x" + "3" * 40
    good = {
        "id": f"{user}-77", "user": user, "tokenId": "77", "amount": "5", "avgPrice": "450000", "realizedPnl": "-9",
        "totalBought": "12",
    }  # fmt: skip
    bad = [good | {"tokenId": "78"}, good | {"amount": "1.5"}, good | {"user": "0x" + "4" * 40}]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [good, *bad]))
    (report,) = load(tmp_path / "p.jsonl")
    assert rejected(report) == [(2, "id_mismatch"), (3, "bad_value"), (4, "id_mismatch")]
    rows = stores.warehouse.query("SELECT amount, avg_price_e6, realized, bought FROM published_positions FINAL").rows
    assert rows == [(5, 450_000, -9, 12)]


@needs_recorded
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Polymarket__py-sdk/tests/fixtures/data_v2/positions.json", "OPEN"),
        ("jm709__pscanner/tests/fixtures/positions.json", "OPEN"),
        ("jm709__pscanner/tests/fixtures/closed_positions.json", "CLOSED"),
    ],
)
def test_positions_of_the_data_api_are_kept_beside_live_ones(load, stores, name, status):
    saved = json.loads((RECORDED / name).read_text())
    (report,) = load(RECORDED / name)
    assert (report.format, report.rows_new, report.rows_rejected) == ("positions", len(saved), 0)
    current = stores.warehouse.query("SELECT wallet, token, realized, status FROM reported_positions FINAL").rows
    wanted = {round((row.get("realizedPnl") or row.get("realized_pnl") or 0) * 1_000_000) for row in saved}
    assert {row[2] for row in current} == wanted
    assert status in {row[3] for row in current}
    wallet, token, *_ = current[0]
    live = {"wallet": [wallet], "token": [token], "shares": [1], "status": ["LIVE"]}
    stores.warehouse.write("reported_positions", live, run=1, token="live")
    load(RECORDED / name)
    rows = stores.warehouse.query("SELECT count() FROM reported_positions FINAL WHERE status = 'LIVE'").rows
    assert rows == [(1,)]


def test_decoded_logs_go_through_the_chain_rules(load, stores, rejected, tmp_path):
    maker, taker = "0x" + "a" * 40, "0x" + "b" * 40
    common = {"t": "OrderFilled", "v": 1, "ex": "EX1", "tx": "0x" + "5" * 64, "bn": 50_000_000, "ts": 1_700_000_000}
    logs = [
        common | {"li": 3, "order": "0x" + "6" * 64, "maker": maker, "taker": taker, "maker_asset": "0",
                  "taker_asset": "77", "maker_amount": 40, "taker_amount": 100},
        common | {"li": 5, "order": "0x" + "7" * 64, "maker": taker, "taker": "EX1", "maker_asset": "77",
                  "taker_asset": "0", "maker_amount": 100, "taker_amount": 40},
        {"t": "OrdersMatched", "ex": "EX1", "tx": "0x" + "5" * 64, "bn": 50_000_000, "ts": 1_700_000_000, "li": 6,
         "order": "0x" + "7" * 64},
        common | {"li": 9, "order": "0x" + "6" * 64, "maker": "W1", "taker": taker, "maker_asset": "0",
                  "taker_asset": "77", "maker_amount": 40, "taker_amount": 100},
    ]  # fmt: skip
    (tmp_path / "logs.json").write_text(json.dumps({"logs": logs}))
    (tmp_path / "logs.jsonl").write_text("".join(json.dumps(log) + "\n" for log in logs))
    first, second = load(tmp_path / "logs.json", tmp_path / "logs.jsonl")
    assert (first.format, first.rows_new, first.rows_ignored) == ("logs", 2, 1)
    assert (second.rows_new, second.rows_repeated, second.rows_ignored) == (0, 2, 1)
    assert rejected(first) == [(4, "bad_log")]
    rows = stores.warehouse.query("SELECT source, kind, role, pos FROM observations FINAL ORDER BY pos").rows
    assert rows == [("chain", "BUY", "MAKER", 3), ("chain", "SELL", "TAKER", 5)]


def test_only_touched_wallets_are_built_and_unknown_tokens_stay_visible(load, stores, tmp_path):
    from .conftest import csv_text

    build(stores.warehouse)
    (tmp_path / "a.csv").write_text(csv_text([order_row(n) for n in range(1, 4)]))
    (report,) = load(tmp_path / "a.csv")
    assert len(report.wallets) == 3
    built = build(stores.warehouse, sorted(report.wallets))
    assert built.wallets == 3
    reasons = stores.warehouse.query("SELECT reason, uniqExact(wallet) FROM unmapped FINAL GROUP BY reason").rows
    assert reasons == [("unknown_token", 3)]
