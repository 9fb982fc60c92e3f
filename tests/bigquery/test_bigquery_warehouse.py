"""BigQuery as the warehouse, on the emulator, through the official client."""

import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from result_rows import rows_here, rows_there

from polyhouse.errors import BadInputError, BudgetSpentError, ConfigError, StoreInUseError
from polyhouse.models import runner
from polyhouse.models.runner import build
from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard
from polyhouse.tables import EVENTS as LOCAL_EVENTS
from polyhouse.warehouse.bigquery import Limits
from polyhouse.warehouse.bigquery.accounting import MIN_BYTES, merge_bytes
from polyhouse.warehouse.bigquery.accounting import RESULTS as RESULT_BYTES
from polyhouse.warehouse.bigquery.computed import TOTALS, UNITS, view_sql
from polyhouse.warehouse.bigquery.publish import OWNER
from polyhouse.warehouse.bigquery.results import RESULTS, result_tables
from polyhouse.warehouse.bigquery.schema import FOLLOWED, MARKETS, MOVEMENTS, POSITIONS, TRADES

ADDRESS = "lower(concat('0x', hex({})))"


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def keyed(rows, width):
    found = {row[:width]: row[width:] for row in rows}
    assert len(found) == len(rows)
    return found


def test_the_commands_run_unchanged_on_it(house):
    assert house.said["run"]["status"] == "ok"
    assert house.said["board"]["rows"][0]["rank"] == 1
    assert house.said["wallet"]["wallet"] == house.said["board"]["rows"][0]["wallet"]
    count, newest = house.said["trades"]["rows"][0]
    assert count > 200
    assert newest.endswith("Z")


def test_trades_are_the_fills_that_count_row_by_row(house):
    """Against a view of the local store that goes another way than the published rows: from the observations."""
    ours = house.local(
        "SELECT wallet, token_id, tx_hash, source, side, shares, pos, toString(price), toUnixTimestamp(ts),"
        " condition_id, toInt64(cash * 1000000), toInt64(fee * 1000000), order_hash FROM vw_trades_canonical"
    )
    theirs = house.ask(
        "SELECT wallet_address, token_id, tx_hash, source, side, shares_normalized, pos, price, timestamp,"
        " condition_id, cash, fee, order_hash FROM trades"
    )
    assert len(ours) > 200
    nine = Decimal("0.000000001")
    assert sorted(
        (*row[:7], Decimal(row[7]).quantize(nine, "ROUND_DOWN"), moment(row[8]), *row[9:12], row[12] or "")
        for row in ours
    ) == sorted((*row[:12], row[12] or "") for row in theirs)


def test_trades_and_movements_are_the_whole_ledger(house):
    sql = "SELECT {} AS w, sum(ds), sum(du), sum(fee), count() FROM ledger FINAL GROUP BY w ORDER BY w"
    told = (
        "SELECT w, SUM(s), SUM(c), SUM(f), COUNT(*) FROM ("
        " SELECT wallet_address w, IF(side = 'BUY', shares, -shares) s, IF(side = 'BUY', -cash, cash) c, fee f"
        " FROM trades"
        " UNION ALL SELECT wallet_address, share_change, cash_change, fee FROM movements) GROUP BY w ORDER BY w"
    )
    assert house.ask(told) == [
        (w, int(s), int(c), int(f), int(n)) for w, s, c, f, n in house.local(sql.format(ADDRESS.format("wallet")))
    ]


def check_models(house):
    """Positions, units and totals of BigQuery are the embedded engine's, row by row and column by column."""
    amounts = (
        "shares, external_shares, cost, bought, bought_cost, fees, realized, unrealized, untracked_shares,"
        " untracked_cash, basis_out, settled_shares, settled_value, redeemed_cash, mark_e6"
    )
    ours = house.local(
        f"SELECT {ADDRESS.format('wallet')}, toString(reinterpretAsUInt256(reverse(token))),"
        f" {ADDRESS.format('condition')}, outcome, {ADDRESS.format('unit')}, toString(category),"
        f" toString(status), {amounts}, first_ts, last_ts, realized_ts FROM positions FINAL"
    )
    theirs = house.ask(
        f"SELECT wallet, token_id, condition_id, outcome_index, unit_id, category, status, {amounts}, first_at,"
        " last_at, realized_at FROM positions"
    )
    assert len(ours) > 50
    assert keyed([(*row[:-3], *map(moment, row[-3:])) for row in ours], 2) == keyed(theirs, 2)
    amounts = "realized, unrealized, unmarked, cost, bought_cost, fees, untracked_cash, redeemed_cash"
    ours = house.local(
        f"SELECT {ADDRESS.format('wallet')}, {ADDRESS.format('unit')},"
        f" arrayMap(x -> {ADDRESS.format('x')}, conditions), toString(category), {amounts}, is_open,"
        " nullIf(toString(result), ''), closed_ts, first_ts, last_ts FROM units FINAL"
    )
    theirs = house.ask(
        f"SELECT wallet, unit_id, condition_ids, category, {amounts}, is_open, result, closed_at, first_at, last_at"
        " FROM units"
    )
    assert keyed([(*row[:-3], *map(moment, row[-3:])) for row in ours], 2) == keyed(theirs, 2)
    names = ", ".join(name for name in TOTALS.columns if name not in {"wallet", "category", "period"})
    ours = house.local(
        f"SELECT {ADDRESS.format('wallet')}, toString(category), toString(window),"
        f" {names.replace('trade_at', 'trade_ts')} FROM wallet_totals FINAL"
    )
    theirs = house.ask(f"SELECT wallet, category, period, {names} FROM wallet_totals")
    assert len(ours) > 200
    assert keyed([(*row[:-2], *map(moment, row[-2:])) for row in ours], 3) == keyed(theirs, 3)
    assert any(row[1] != "overall" and row[2] == "180d" and row[3] for row in ours)


def test_models_equal_the_embedded_engines_row_by_row(house):
    """On rows that show every rule: conversions, open units with and without a price, windows, income, redemptions."""
    check_models(house)
    [(converted, unmarked, open_units, flat)] = house.ask(
        "SELECT COUNTIF(ARRAY_LENGTH(condition_ids) > 1), COUNTIF(unrealized IS NULL), COUNTIF(is_open),"
        " COUNTIF(result = 'FLAT') FROM units"
    )
    assert min(converted, unmarked, flat) >= 1
    assert open_units > unmarked
    for period, least in (("lifetime", 1), ("180d", 1), ("1d", 0)):
        [(volume, unknown, income)] = house.ask(
            "SELECT COUNTIF(volume > 0), COUNTIF(unrealized IS NULL), COUNTIF(income > 0) FROM wallet_totals"
            f" WHERE period = '{period}'"
        )
        assert min(volume, unknown) >= 1
        assert income >= least


def check_results(house):
    """Metrics, scores, flags, specialists and categories of BigQuery are what the local views say, column by column."""
    found = {}
    for table in result_tables(house.warehouse):
        found[table.name] = rows_here(house.warehouse, table.name, table.key, table.columns)
        assert rows_there(house.remote, table.name, table.key) == found[table.name], table.name
    return found


def test_results_equal_the_embedded_engines_row_by_row(house):
    assert house.second.with_results
    found = check_results(house)
    assert [table.name for table in result_tables(house.warehouse)] == list(found) == [one.name for one in RESULTS]
    for name in set(found) - {"wallet_intervals", "category_specialists"}:  # this universe is too small for
        assert found[name], name
    metrics = [row for row in found["wallet_metrics_complete"].values() if row["hit_rate"] is not None]
    assert metrics
    assert {"S", "F"} & {row["grade"] for row in found["wallet_scores"].values()}


def test_results_that_come_and_go(house):
    """Rows and columns: a new metric needs nothing but its column here, and one that is gone leaves no old values."""
    wallet = bytes(house.local("SELECT min(wallet) FROM wallet_totals")[0][0])
    place, newest = f"unhex('{wallet.hex()}')", house.tracking.newest_build()
    house.warehouse.command("ALTER TABLE wallet_intervals ADD COLUMN novelty Nullable(Float64)")
    house.warehouse.command(
        "INSERT INTO wallet_intervals (wallet, category, window, bets, omega_low, novelty, version)"
        f" SELECT {place}, 'overall', '30d', 31, 0.1 + 0.2, 1 / 3, (SELECT max(build) FROM builds)"
    )
    house.warehouse.command(
        "INSERT INTO category_specialists (category, place, wallet, closed, edge, net)"
        f" VALUES ('sports', 1, {place}, 20, 0.1, -5), ('crypto', 1, {place}, 21, 0.2, 7)"
    )
    house.tracking.set_mark("results", str(newest - 1))
    told = house.publish()
    assert (told["wallet_intervals"].inserted, told["category_specialists"].inserted) == (1, 2)
    assert told["wallet_metrics_by_category"].loads == 0
    assert house.ask("SELECT bets, omega_low, novelty FROM wallet_intervals") == [(31, 0.1 + 0.2, 1 / 3)]
    assert sorted(house.ask("SELECT category, net FROM category_specialists")) == [("crypto", 7), ("sports", -5)]
    house.warehouse.command("ALTER TABLE wallet_intervals DROP COLUMN novelty")
    house.warehouse.command("DELETE FROM category_specialists WHERE category = 'crypto'")
    house.tracking.set_mark("results", str(newest - 1))
    told = house.publish()
    assert (told["category_specialists"].removed, told["category_specialists"].unchanged) == (1, 1)
    found = check_results(house)
    assert [sorted(row) for row in found["wallet_intervals"].values()] == [
        ["bets", "omega_high", "omega_low", "roi_high", "roi_low"]
    ]


def test_the_leaderboard_is_a_view_that_ranks_as_the_product_does(house):
    assert house.ask("SELECT COUNT(*) FROM leaderboard") == [(0,)]  # nobody has enough closed units to be ranked
    everybody = (
        view_sql("leaderboard", str(house.remote.name)).replace(">= 20 ", ">= 1 ").replace(">= 100000000", ">= 0")
    )
    columns = "category, period, sort, rank, wallet, omega_shrunk, pnl, units"
    places = keyed(house.ask(f"SELECT {columns} FROM ({everybody})"), 4)
    seen = 0
    for category, period in {place[:2] for place in places}:
        for sort in ("omega", "pnl"):
            query = LeaderboardQuery(
                category=category, window=period, sort=sort, min_units=1, min_gains_losses=0, limit=100
            )
            for row in leaderboard(house.warehouse, query)["rows"]:
                if sort == "pnl" and row["value"] is None:
                    continue  # who has no value stands at the end here, and not in the view
                wallet, omega, pnl, units = places.pop((category, period, sort, row["rank"]))
                assert (wallet, units) == (row["wallet"], row["units"])
                assert Decimal(row["value"]) == pytest.approx(
                    Decimal(omega) if sort == "omega" else Decimal(pnl) / 1_000_000, abs=Decimal("0.000001")
                )
                seen += 1
    assert not places
    assert seen > 50


def test_markets_events_and_runs(house):
    markets = keyed(house.ask("SELECT condition_id, title, status, winning_label, event_slug, side_a FROM markets"), 1)
    for condition, question, closed, resolved, winner, outcomes in house.local(
        "SELECT condition_id, question, closed, resolved, winning_outcome, outcomes FROM api_markets_staging"
    ):
        title, status, label, _, side_a = markets.pop((condition,))
        assert (title, side_a) == (question, outcomes[0])
        assert status == ("resolved" if resolved else "closed" if closed else "open")
        assert label == (None if winner is None else outcomes[winner])
    assert not markets
    events = house.ask("SELECT event_slug, title, category FROM events ORDER BY 1")
    sql = "SELECT event_slug, title, canonical_category FROM events_dim ORDER BY 1"
    assert events == house.local(sql)
    runs = house.ask("SELECT status, trades_fetched > 0, wallets_processed FROM daily_sync_checkpoint ORDER BY run_id")
    assert len(runs) == 2
    assert runs[0][:2] == ("ok", True)
    assert runs[0][2] > 5


def test_news_cost_only_their_partitions(house):
    """Two months later: what arrived is inserted, the rest is not sent, and only identities of its days are read."""
    told = {one.table: one for one in house.second.tables}
    trades = told["trades"]
    assert trades.inserted > 0
    assert (trades.updated, trades.removed, trades.rejected) == (0, 0, 0)
    assert trades.is_incremental
    first = house.said["trades"]["rows"][0][0]
    assert house.ask("SELECT COUNT(*) FROM trades") == [(first + trades.inserted,)]
    started = house.said["trades"]["rows"][0][1][:10]
    there = house.ask(f"SELECT COUNT(*) FROM trades WHERE DATE(timestamp) >= DATE '{started}'")[0][0]
    least = merge_bytes(TRADES, 0, trades.inserted, only_new=True)
    # The days that follow the first load held nothing but what came on its own last day.
    assert least <= trades.planned <= merge_bytes(TRADES, there, trades.inserted, only_new=True)
    assert told["events"].unchanged > 0
    assert told["daily_sync_checkpoint"].inserted == 1
    assert all(one.loads <= 1 for one in told.values())


def test_nothing_new_sends_nothing(house):
    before = house.remote.budget.spent()
    told = house.publish()
    assert all((one.inserted, one.updated, one.removed, one.loads) == (0, 0, 0, 0) for one in told.values())
    assert house.remote.budget.spent() == before
    assert "units" not in told  # no build since: nothing to compute


def test_a_publication_cut_before_it_was_noted_is_harmless(house):
    """The MERGE happened, the note of it did not: the next one sends the table whole, and nothing changes."""
    rows = house.ask("SELECT COUNT(*), SUM(cash) FROM trades")
    house.warehouse.command("DELETE FROM bigquery_published WHERE name = 'trades' AND day >= '2026-01-01'")
    house.tracking.set_mark("table trades", "sending")
    house.remote.run("DELETE FROM trades WHERE side = 'SELL'", tables=1, planned=0)  # even if rows were lost there
    lost = rows[0][0] - house.ask("SELECT COUNT(*) FROM trades")[0][0]
    told = house.publish()["trades"]
    assert (told.inserted, told.unchanged, told.removed) == (lost, rows[0][0] - lost, 0)
    assert lost > 0
    assert house.ask("SELECT COUNT(*), SUM(cash) FROM trades") == rows
    assert house.publish()["trades"].loads == 0


def test_rows_that_are_no_more_are_removed_and_others_stay(house):
    """As after a reorganisation of the chain: observations of a wallet are taken out, and it is built again."""
    wallet, token, condition = house.local(
        "SELECT wallet, token, tx FROM ledger FINAL WHERE kind IN ('BUY', 'SELL') ORDER BY ts DESC LIMIT 1"
    )[0]
    before = house.ask("SELECT COUNT(*), COUNT(DISTINCT wallet_address) FROM trades")[0][0]
    place = f"wallet = unhex('{wallet.hex()}') AND token = unhex('{token.hex()}') AND tx = unhex('{condition.hex()}')"
    gone = house.local(f"SELECT count() FROM ledger FINAL WHERE {place} AND kind IN ('BUY', 'SELL')")[0][0]
    house.warehouse.command(f"DELETE FROM observations WHERE {place}")
    spent, seldom = house.remote.budget.spent(), Limits(house.endpoint, models_seconds=0)
    with pytest.MonkeyPatch.context() as patch:  # a check is broken: readers see the rows, and not what is made of them
        patch.setattr(runner, "held_by", lambda _: frozenset({"wallet_totals"}))
        build(house.warehouse, [wallet])
    early = house.publisher(seldom, time.time()).publish()
    assert early.tables[0].removed == gone > 0
    assert not early.with_models  # positions, units and totals wait for a build that holds nothing back
    assert not early.with_results  # and metrics for their turn, a day
    assert {one.table for one in early.tables} == {table.name for table in FOLLOWED}
    build(house.warehouse, [wallet])
    told = house.publish()
    charged = house.remote.budget.spent() - spent
    assert charged == early.bytes_read + sum(one.bytes_read for one in told.values())
    assert told["positions"].loads == 1
    assert house.ask("SELECT COUNT(*) FROM trades") == [(before - gone,)]
    assert house.tracking.mark("table trades") == "sent"  # BigQuery changed as many rows as were meant
    check_models(house)
    check_results(house)
    flags, metrics = told["wallet_flags"], told["wallet_metrics_complete"]
    assert metrics.updated + metrics.removed > 0
    assert flags.unchanged + flags.updated > 50  # of which q-values move whoever was built, so that all are compared
    assert told["metric_catalogue"].loads == 0


def test_open_markets_are_refreshed_alone(house):
    """A market that closes updates one row; the others are unchanged."""
    market = {"condition": [b"\xa3" * 32], "source": ["gamma"], "market_id": [77], "question": ["Will it rain?"]}
    house.warehouse.write("markets", market | {"outcomes": [["Yes", "No"]], "closed": [False]}, run=9, token="new")
    told = house.publish()["markets"]
    assert (told.inserted, told.updated, told.removed) == (1, 0, 0)
    status = f"SELECT status, title, side_b FROM markets WHERE condition_id = '0x{'a3' * 32}'"
    assert house.ask(status) == [("open", "Will it rain?", "No")]
    house.warehouse.write("markets", market | {"outcomes": [["Yes", "No"]], "closed": [True]}, run=9, token="closed")
    told = house.publish()["markets"]
    assert (told.inserted, told.updated, told.removed) == (0, 1, 0)
    assert told.unchanged == house.ask("SELECT COUNT(*) FROM markets")[0][0] - 1
    assert house.ask(status) == [("closed", "Will it rain?", "No")]


def test_rows_with_one_identity_are_rejected_before_the_merge(house):
    """BigQuery fails where two source rows match one row; the emulator would take either."""
    slug, title = house.ask("SELECT event_slug, title FROM events ORDER BY 1 LIMIT 1")[0]
    row = {"event_id": [987_654_321], "slug": [slug], "title": ["another event of the same name"]}
    house.warehouse.write(LOCAL_EVENTS.name, row, run=9, token="twins")
    told = house.publish()["events"]
    assert told.rejected == 1
    assert house.ask(f"SELECT COUNT(*) FROM events WHERE event_slug = '{slug}'") == [(1,)]
    house.warehouse.command("DELETE FROM events WHERE event_id = 987654321")
    assert house.publish()["events"].rejected == 0
    assert house.ask(f"SELECT title FROM events WHERE event_slug = '{slug}'") == [(title,)]


def test_the_budget_of_a_day_stops_and_a_new_day_goes_on(house):
    day = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    limits = Limits(house.endpoint, query_bytes=MIN_BYTES * 50, daily_bytes=3 * MIN_BYTES, models_seconds=0)
    for table in ("markets", "events"):
        house.tracking.set_mark(f"table {table}", "sending")
    poor = house.publisher(limits, day)
    with pytest.raises(BudgetSpentError) as caught:
        poor.publish()  # markets 20 MiB, events 20 MiB more
    assert caught.value.exit_code == 3
    assert "20.00 MiB of 30.00 MiB" in str(caught.value)
    told = {one.table: one for one in house.publisher(limits, day + 86_400).publish().tables}
    assert told["events"].unchanged == house.ask("SELECT COUNT(*) FROM events")[0][0]
    assert told["markets"].loads == 0  # the day before it was done, and stays done


def test_every_statement_is_capped_and_estimated_first(house):
    """What went over the wire: each query job has its cap, and a dry run of the same text right before it."""
    house.ask("SELECT COUNT(*) FROM trades")
    real = [place for place, asked in enumerate(house.asked) if not asked.get("dryRun")]
    assert len(real) > 20
    for place in real:
        query, before = house.asked[place]["query"], house.asked[place - 1]
        assert int(query["maximumBytesBilled"]) == house.remote.limits.query_bytes
        assert query["useQueryCache"] is False
        assert before["dryRun"] is True
        assert before["query"]["query"] == query["query"]
    with pytest.raises(ConfigError, match="was not run"):
        house.remote.run("DELETE FROM trades WHERE TRUE", tables=1, planned=house.remote.limits.query_bytes + 1)
    assert house.ask("SELECT COUNT(*) > 0 FROM trades") == [(True,)]


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM trades WHERE TRUE", "DROP TABLE trades", "SELECT 1; DROP TABLE trades", "CREATE TABLE x AS SELECT 1",
     "SELECT nothing_of_that_name FROM trades", "SELECT * FROM no_such_table", "MERGE trades"],
)  # fmt: skip
def test_users_may_only_select(house, sql):
    with pytest.raises(BadInputError):
        house.warehouse.query_readonly(sql, max_rows=10, timeout_seconds=10)
    assert house.ask("SELECT COUNT(*) > 0 FROM trades") == [(True,)]


def test_users_get_what_they_asked_or_an_error(house):
    sql = "SELECT wallet_address FROM trades ORDER BY 1"
    with pytest.raises(BadInputError, match="more than 5 rows"):
        house.warehouse.query_readonly(sql, max_rows=5, timeout_seconds=10)
    with house.warehouse.reader() as reader:
        cut = reader.query_readonly(sql, max_rows=5, timeout_seconds=10, truncate=True)
    assert (len(cut.rows), cut.truncated, cut.columns) == (5, True, ("wallet_address",))


def test_a_dataset_follows_one_store(house):
    owner = house.tracking.mark("store")
    house.tracking.set_mark("store", "another")
    with pytest.raises(StoreInUseError, match=owner):
        house.publish()
    house.tracking.set_mark("store", owner)
    assert house.remote.change_labels(dict, tries=1)[OWNER] == owner


def test_a_dataset_that_was_made_anew_or_is_ahead_is_told_everything(house):
    """Ahead of a store that was restored from a backup: rows that it believes to be new may be there, and otherwise."""
    house.remote.change_labels(lambda labels: {k: v for k, v in labels.items() if k != OWNER}, tries=1)
    house.publisher(house.remote.limits, 0)._claim()
    assert house.tracking.told("trades") == 0
    house.publisher(house.remote.limits, 0)._claim()
    house.tracking.set_mark("publications", "1")
    rows = house.ask("SELECT COUNT(*) FROM trades")
    house.remote.run("UPDATE trades SET fee = fee + 1 WHERE side = 'BUY'", tables=1, planned=0)
    house.remote.run("DELETE FROM trades WHERE side = 'SELL'", tables=1, planned=0)
    house.tracking.set_mark("results_at", str(int(time.time()) + 86_400))
    assert house.publish()["trades"].inserted == rows[0][0]  # missing ones are written, others corrected
    assert house.ask("SELECT COUNT(*) FROM trades") == rows
    assert house.ask("SELECT SUM(fee) FROM trades") == house.local(
        "SELECT toInt64(sum(fee)) FROM ledger FINAL WHERE kind IN ('BUY', 'SELL')"
    )


def test_tables_are_partitioned_and_clustered(house):
    for table in (*FOLLOWED, POSITIONS, UNITS, TOTALS):
        made = house.remote._client.get_table(f"{house.remote.name}.{table.name}")
        assert tuple(made.clustering_fields) == table.cluster
        assert (made.time_partitioning.field if made.time_partitioning else "") == table.day
    assert TRADES.day == MOVEMENTS.day == "timestamp"


def test_rows_are_not_wider_than_the_accounting_says(house):
    """The widths from which bytes are planned against the bytes that BigQuery counts for the rows that are there."""
    results = [one for one in result_tables(house.warehouse) if one.name in {"wallet_metrics_complete", "wallet_flags"}]
    for table in (TRADES, MOVEMENTS, MARKETS, POSITIONS, UNITS, TOTALS, *results):
        sizes = []
        for name, kind in table.columns.items():
            if kind == "texts":
                sizes.append(f"(SELECT IFNULL(SUM(BYTE_LENGTH(x) + 2), 0) FROM UNNEST({name}) AS x)")
            elif kind in {"address", "hash", "token", "word", "text", "document"}:
                sizes.append(f"IFNULL(BYTE_LENGTH({name}) + 2, 0)")
            else:
                sizes.append(f"IF({name} IS NULL, 0, {table.width([name])})")
        [(rows, size)] = house.ask(f"SELECT COUNT(*), SUM({' + '.join(sizes)}) FROM {table.name}")
        assert size <= rows * table.width(), table.name
        if table is not MARKETS and table not in results:  # titles are shorter here than in the world, metrics unknown
            assert rows * table.width() <= 1.9 * size, table.name
    for table in result_tables(house.warehouse):
        assert table.width() <= RESULT_BYTES[table.name][1], table.name
