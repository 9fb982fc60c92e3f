"""Wallets and scores in PostgreSQL: what is written, what is left alone, and what readers see meanwhile."""

from __future__ import annotations

import threading
from decimal import Decimal

import psycopg
import pytest
from published_store import FIRST, SECOND, THIRD, load, registered

from polyhouse.errors import ConfigError, RetryableError
from polyhouse.publish import Target, find_target, publish
from polyhouse.publish.tables import TABLES


def counts(report, table):
    found = report.tables[table]
    return found.inserted, found.updated, found.deleted, found.unchanged


class Watched:
    """A warehouse that lets something happen while its n-th table is read."""

    def __init__(self, warehouse, read, happens):
        self._warehouse, self._left, self._happens = warehouse, read, happens

    def query(self, *arguments):
        return self._warehouse.query(*arguments)

    def query_columns(self, sql):
        self._left -= 1
        if self._left == 0:
            self._happens()
        return self._warehouse.query_columns(sql)


def test_the_tables_say_what_the_views_say(warehouse, target, ask):
    report = publish(warehouse, target)
    assert report.is_full
    assert [counts(report, table.name)[0] for table in TABLES] == [2, 2, 2, 2]
    found = ask(
        "SELECT wallet_address, omega_ratio, omega_status, win_rate, total_pnl, omega_momentum, momentum_direction"
        " FROM polymarket.wallet_scores ORDER BY 1"
    )
    assert found == [
        (FIRST, None, "NO_LOSSES", Decimal(1), Decimal(60), Decimal("0.25"), "improving"),
        (SECOND, Decimal(0), "OK", Decimal(0), Decimal(-40), None, "insufficient_data"),
    ]
    assert ask("SELECT total_volume_usd, is_whale, last_processed_at FROM polymarket.wallets LIMIT 1") == [
        (Decimal(40), False, None)
    ]
    sync = "SELECT sync_status, last_error, discovery_sources, extract(epoch FROM created_at)::int"
    assert ask(f"{sync} FROM polymarket.wallet_sync_metadata LIMIT 1") == [
        ("completed", "it said \"no, never\"\n\\ and 'so'", ["holders", 'a "b", \\c'], 1_780_000_000)
    ]
    assert ask("SELECT category, roi_per_bet FROM polymarket.wallet_scores_by_category ORDER BY 2") == [
        ("other", Decimal(-40)), ("other", Decimal(60)),
    ]  # fmt: skip


def test_the_columns_are_those_of_the_migration(warehouse, target, ask):
    publish(warehouse, target)
    for table in TABLES:
        named = ask(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'polymarket'"
            f" AND table_name = '{table.name}'"
        )
        assert sorted(name for (name,) in named) == sorted(table.names)


def test_only_what_changed_is_written_and_what_is_gone_goes(warehouse, target, ask):
    publish(warehouse, target)
    versions = "SELECT wallet_address, xmin::text FROM polymarket.wallet_sync_metadata ORDER BY 1"
    before = dict(ask(versions))
    assert counts(publish(warehouse, target, full=True), "wallets") == (0, 0, 0, 2)
    assert publish(warehouse, target).wallets == 0, "nothing is new of anybody"
    load(warehouse, registered(2, 3, error=""))
    report = publish(warehouse, target)
    assert (report.is_full, report.wallets) == (False, 2)
    assert counts(report, "wallet_sync_metadata") == (1, 1, 0, 0)
    assert publish(warehouse, target).wallets == 2, "the newest ones are looked at once more"
    after = dict(ask(versions))
    assert after.keys() == {FIRST, SECOND, THIRD}
    assert after[FIRST] == before[FIRST], "its row was not touched"
    assert after[SECOND] != before[SECOND]
    assert ask(f"SELECT last_error FROM polymarket.wallet_sync_metadata WHERE wallet_address = '{SECOND}'") == [(None,)]


def test_a_table_that_was_built_anew_takes_those_out_that_are_gone(warehouse, target, ask):
    publish(warehouse, target)
    scored = "SELECT wallet_address FROM polymarket.wallet_scores ORDER BY 1"
    assert ask(scored) == [(FIRST,), (SECOND,)]
    # What a build of all wallets leaves behind: the same rows in a newer version, without those who are gone.
    warehouse.command("CREATE TABLE anew AS wallet_totals")
    warehouse.command(
        "INSERT INTO anew SELECT * REPLACE (2000 AS version) FROM wallet_totals FINAL"
        f" WHERE wallet != unhex('{SECOND[2:]}')"
    )
    warehouse.command("EXCHANGE TABLES anew AND wallet_totals")
    try:
        report = publish(warehouse, target)
    finally:
        warehouse.command("EXCHANGE TABLES anew AND wallet_totals")
        warehouse.command("DROP TABLE anew")
    assert report.is_full
    assert counts(report, "wallet_scores") == (0, 0, 1, 1), "the same numbers in a new version change no row"
    assert ask(scored) == [(FIRST,)]


def test_readers_see_the_old_publication_until_the_new_one_is_whole(warehouse, target, ask):
    publish(warehouse, target)
    load(warehouse, registered(1, 2, seen=1_780_000_500))
    newest = f"SELECT extract(epoch FROM last_seen_at)::int FROM polymarket.{{}} WHERE wallet_address = '{FIRST}'"
    seen = []

    def look():
        seen.append([ask(newest.format(table)) for table in ("wallets", "wallet_sync_metadata")])

    # The names of the wallets, then table by table: at the fourth, wallets and wallet_sync_metadata are replaced.
    publish(Watched(warehouse, 4, look), target)
    look()
    before, after = seen
    assert before[0] == before[1]
    assert after[0] == after[1] == [(1_780_000_500,)] != before[0]


def test_a_server_that_restarts_in_the_middle_is_met_again(warehouse, target, ask, postgres_server):
    publish(warehouse, target)
    load(warehouse, registered(1, seen=1_780_000_900))

    def restart():
        postgres_server.stop()
        threading.Timer(0.5, postgres_server.start).start()

    newest = f"SELECT extract(epoch FROM last_seen_at)::int FROM polymarket.wallets WHERE wallet_address = '{FIRST}'"
    publish(Watched(warehouse, 3, restart), target, patience_seconds=60)
    assert ask(newest) == [(1_780_000_900,)]

    load(warehouse, registered(1, seen=1_780_001_000))
    postgres_server.stop()
    try:
        with pytest.raises(RetryableError, match="database of the publication is unavailable"):
            publish(warehouse, target)
    finally:
        postgres_server.start()
    assert ask(newest) == [(1_780_000_900,)], "what was published stands"
    publish(warehouse, target)
    assert ask(newest) == [(1_780_001_000,)], "and the next publication makes up for it"


def test_a_table_that_somebody_holds_ends_the_publication_and_not_the_patience_of_all(warehouse, target, postgres_url):
    publish(warehouse, target)
    load(warehouse, registered(1, seen=1_780_002_000))
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE polymarket.wallets IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(RetryableError, match="lock timeout"):
            publish(warehouse, target)
    publish(warehouse, target)


def test_two_publishers_come_one_after_another(warehouse, postgres_url, ask):
    targets = [Target(postgres_url, "polymarket") for _ in range(2)]
    threads = [threading.Thread(target=publish, args=(warehouse, target)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask("SELECT count(*), sum(inserted) FROM polymarket.publications")[0][0] == 2
    for target in targets:
        target.close()


def test_a_table_of_somebody_else_is_not_touched(warehouse, postgres_url, ask):
    ask("CREATE TABLE public.wallets (id int)")
    target = Target(postgres_url, "public")
    with pytest.raises(ConfigError, match="has a table wallets that Polyhouse did not make"):
        publish(warehouse, target)
    target.close()
    assert ask("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'") == [(1,)]


def test_where_to_publish_follows_the_state_store():
    server, file = "postgresql://u:p@h/db", "sqlite:////tmp/state.db"
    assert find_target("", file, "polymarket") is None
    assert find_target("off", server, "polymarket") is None
    assert find_target("", server, "scores") == (server, "scores")
    assert find_target(server, file, "polymarket") == (server, "polymarket")
    for schema in ("polyhouse", "pg_catalog", "Quoted", 'x"; DROP'):
        with pytest.raises(ConfigError, match="POLYHOUSE_PUBLISH_SCHEMA"):
            find_target(server, file, schema)
    with pytest.raises(ConfigError, match="Tables are published in PostgreSQL"):
        Target(file, "polymarket")
