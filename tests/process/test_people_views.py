"""The views for people: right numbers on a small universe, and a page that names every column."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from polyhouse.sync.process import ProcessOptions, process

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"
NOT_FOR_PEOPLE = re.compile(r"_current$|__next$")


async def test_the_page_names_every_table_and_every_column_of_every_view(lab):
    documented: dict[str, list[str] | None] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) in {2, 3}:
            columns = re.findall(r"`(\w+)`", cells[2]) if len(cells) == 3 else None
            documented[cells[0].strip("`")] = columns
    async with lab.session() as s:
        existing: dict[str, list[str]] = {}
        is_view: dict[str, bool] = {}
        for table, column, engine in s.rows(
            "SELECT c.table, c.name, t.engine FROM system.columns AS c JOIN system.tables AS t ON t.name = c.table"
            " AND t.database = c.database WHERE c.database = currentDatabase() ORDER BY c.table, c.position"
        ):
            existing.setdefault(table, []).append(column)
            is_view[table] = engine == "View"
    wanted = {name for name in existing if not NOT_FOR_PEOPLE.search(name)}
    assert set(documented) == wanted, "docs/tables.md must name every table and view, and no other"
    for name, columns in documented.items():
        assert (columns is not None) == is_view[name], name
        if columns is not None:
            assert columns == existing[name], name


@pytest.fixture
async def worked(lab):
    async with lab.worked() as s:
        yield s


async def test_queue_views_say_what_the_state_store_says(worked):
    s = worked
    records = [s.state.wallet(address) for address in s.state.wallet_addresses()]
    by_status = Counter(one.status for one in records)
    assert by_status["failed"] == 1
    assert by_status["pending"] + by_status["empty"] >= 1
    shown = s.rows("SELECT queue_status, sum(wallet_count), sum(total_trades) FROM wallet_sync_progress GROUP BY 1")
    assert {status: count for status, count, _ in shown} == dict(by_status)
    assert sum(trades for _, _, trades in shown) == sum(one.trades_synced for one in records)
    metadata = s.rows(
        "SELECT wallet_address, queue_status, total_trades_synced, error_count, ifNull(last_error, ''),"
        " arraySort(discovery_sources) FROM wallet_sync_metadata ORDER BY wallet_address"
    )
    assert metadata == [
        ("0x" + one.address.hex(), one.status, one.trades_synced, one.attempts, one.last_error, sorted(one.provenance))
        for one in records
    ]
    words = dict(s.rows("SELECT DISTINCT queue_status, sync_status FROM wallet_sync_metadata"))
    assert all(words[status] == {"empty": "skipped", "parked": "failed"}.get(status, status) for status in words)
    [(address, given_up, failures, error)] = s.rows(
        "SELECT wallet_address, is_given_up, error_count, last_error FROM failed_wallets"
    )
    [failed] = [one for one in records if one.status == "failed"]
    assert (address, given_up, failures) == ("0x" + failed.address.hex(), False, 1)
    assert error == failed.last_error
    assert error.startswith("data.value: ")
    sources = Counter(word for one in records for word in one.provenance)
    assert dict(s.rows("SELECT discovery_source, wallet_count FROM wallets_by_source")) == dict(sources)
    needing = {one.address for one in records if one.status in {"pending", "failed"}}
    assert s.value("SELECT countIf(needs_sync) FROM discovered_wallets") == len(needing)


async def test_the_order_of_wallets_needing_sync_is_the_order_of_the_queue(lab):
    """The view measures against the engine's clock, so this store lives in the present."""
    from polyhouse.state import open_state
    from polyhouse.sync.registry_mirror import push

    async with lab.session() as s:
        with open_state(f"sqlite:///{lab.folder}/present.db") as state:
            wallets = [number.to_bytes(20, "big") for number in range(1, 41)]
            state.register_wallets(wallets, "trades")
            for wallet in wallets[:30]:
                state.mark_completed(wallet, trades_synced=1)
            state.queue(wallets[10:30])
            state.set_whale_scores({wallet: 4 * place for place, wallet in enumerate(wallets[:25])})
            state.mark_failed(wallets[35], "500")
            push(s.warehouse, state)
            rows = s.rows("SELECT wallet_address, priority_class, reason, priority_score FROM wallets_needing_sync")
            shown = [bytes.fromhex(row[0][2:]) for row in rows]
            assert shown == state.wallets_due()
            assert shown == state.claim_wallets(100)
            assert {row[1] for row in rows} == {"whale", "new", "stale"}
            scores = [row[3] for row in rows]
            assert scores == sorted(scores, reverse=True)
            assert rows[0][2] == "whale 9.6"


async def test_a_run_is_shown_with_what_it_inserted_updated_and_found_unchanged(lab):
    fields = "ledger_rows_inserted, ledger_rows_updated, ledger_rows_unchanged, trades_fetched, wallets_processed"

    def newest(s) -> tuple:
        return s.rows(f"SELECT command, {fields} FROM daily_sync_checkpoint LIMIT 1")[0]

    async with lab.filled() as s:
        rows = s.value("SELECT count() FROM observations_current")
        fills = s.value("SELECT count() FROM observations_current WHERE source = 'trades'")
        wallets = len(s.state.wallet_addresses())
        assert newest(s) == ("sync trades", fills, 0, 0, fills, 0)
        await process(s.engine, ProcessOptions(metrics=False))
        ledger = s.value("SELECT count() FROM observations_current") - rows
        assert newest(s) == ("process", ledger, 0, 0, fills, wallets)
        for address in s.state.wallet_addresses():
            s.state.reset(address)  # everything is read again from the start
        before = s.rows("SELECT count(), sum(cityHash64(* EXCEPT (run, version))) FROM observations_current")
        await process(s.engine, ProcessOptions(metrics=False))
        assert newest(s) == ("process", 0, 0, ledger, fills, wallets)
        assert s.rows("SELECT count(), sum(cityHash64(* EXCEPT (run, version))) FROM observations_current") == before
        lab.server.world.advance(30 * 86_400)
        s.state.queue()
        await process(s.engine, ProcessOptions(metrics=False))
        added = s.value("SELECT count() FROM observations_current") - rows - ledger
        assert added > 0
        assert newest(s)[1] == added
        assert (await s.engine.sync_markets(full=True)).status == "ok"
        markets, events, inserted, updated = s.rows(
            "SELECT markets_fetched, events_fetched, rows_inserted, rows_updated FROM daily_sync_checkpoint LIMIT 1"
        )[0]
        assert markets >= s.value("SELECT count() FROM markets_current WHERE source = 'gamma'")
        assert events >= s.value("SELECT count() FROM events_current")
        assert inserted > 0  # markets that are new after thirty days
        assert updated > 0  # markets that closed meanwhile


async def test_names_of_older_systems_answer_with_our_numbers(worked):
    s = worked
    count = lambda name: s.value(f"SELECT count() FROM {name}")  # noqa: E731
    fills = s.value("SELECT sum(trades) FROM wallet_totals FINAL WHERE window = 'lifetime' AND category = 'overall'")
    assert fills > 0
    assert {count(name) for name in ("trades_raw", "trades", "wallet_trades", "vw_trades_canonical")} == {fills}
    spent = s.value("SELECT sumIf(usd_value, action = 'BUY') - sumIf(usd_value, action = 'SELL') FROM trades_raw")
    moved = s.value("SELECT sum(du) FROM ledger FINAL WHERE kind IN ('BUY', 'SELL')")
    assert spent * 1_000_000 == -moved
    assert s.value("SELECT countIf(market_id = 0) FROM trades_raw") == 0
    assert s.value("SELECT countIf(token_label = '') FROM trades") == 0
    assert count("api_trades_staging") == s.value(
        "SELECT count() FROM observations_current WHERE source IN ('activity', 'trades') AND kind IN ('BUY', 'SELL')"
    )
    open_, closed = count("wallet_positions"), count("wallet_closed_positions")
    assert open_ + closed == s.value("SELECT count() FROM positions FINAL")
    assert open_ == s.value("SELECT countIf(status = 'OPEN') FROM positions FINAL")
    realized = s.value("SELECT sum(realized_pnl_usd) FROM wallet_closed_positions")
    assert realized * 1_000_000 == s.value("SELECT sum(realized) FROM positions FINAL WHERE status != 'OPEN'")
    assert count("wallet_positions_api") == s.value(
        "SELECT count() FROM reported_positions_current WHERE status != 'GONE'"
    )
    assert count("api_positions_staging") == count("wallet_positions_api")
    assert count("market_holders") == s.value("SELECT count() FROM reported_holders_current WHERE shares > 0")
    for [shares] in s.rows("SELECT sum(market_share_percentage) FROM market_holders GROUP BY token_id"):
        assert abs(shares - 100) < 0.01
    conditions = s.value("SELECT uniqExact(condition) FROM markets_current")
    assert {count(name) for name in ("markets_dim", "condition_market_map", "api_markets_staging")} == {conditions}
    assert s.value("SELECT countIf(canonical_category = '') FROM condition_market_map") == 0
    assert count("events_dim") == s.value("SELECT count() FROM events_current")
    resolved = s.value("SELECT uniqExact(condition) FROM token_map FINAL WHERE resolved")
    assert s.value("SELECT countIf(resolved) FROM api_markets_staging") == resolved
    assert s.value("SELECT countIf(winning_outcome IS NOT NULL AND NOT resolved) FROM api_markets_staging") == 0
    assert count("wallets") == len(s.state.wallet_addresses())
    assert s.value("SELECT sum(total_trades) FROM wallets") == fills
    assert count("traders") == sum(s.state.wallet(one).trades_synced > 0 for one in s.state.wallet_addresses())
    assert count("wallet_pnl_snapshots") == s.value("SELECT count() FROM reported_values_current")


async def test_wallet_scores_are_the_leaderboards_numbers(worked):
    from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard

    s = worked
    names = "wallet_address, omega_ratio, omega_shrunk, win_rate, overall_roi, total_gains, total_losses, grade"
    shown = {row[0]: row[1:] for row in s.rows(f"SELECT {names} FROM wallet_scores")}
    board = leaderboard(s.warehouse, LeaderboardQuery(min_units=0, min_gains_losses=Decimal(0), limit=1_000))
    assert board["rows"]
    for row in board["rows"]:
        wanted = (
            row["omega"]["value"], row["omega_shrunk"], row["win_rate"], row["roi"], row["gains"], row["losses_abs"],
            row["grade"],
        )  # fmt: skip
        if row["omega_shrunk"] is not None and row["gains"] + row["losses_abs"] > 0:
            assert shown[row["wallet"]] == wanted, row["wallet"]
    parts = s.rows("SELECT sum(total_gains), sum(total_losses) FROM wallet_scores_by_category")
    assert parts == s.rows("SELECT sum(total_gains), sum(total_losses) FROM wallet_scores")
