"""PostgreSQL as it is in production: several machines, broken connections, refused users, an application beside us."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import quote

import psycopg
import pytest

from polyhouse.errors import AuthError, ConfigError, RetryableError
from polyhouse.state import database, lifecycle, open_state

WALLET = b"\x07" * 20


def name_of(url):
    return url.rpartition("/")[2]


def cut_connections(server, url):
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'")


def test_eight_that_open_a_new_store_at_once_make_it_once(postgres_url):
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: open_state(postgres_url), range(8)))
    assert sum(store.register_wallets([WALLET], "trades") for store in stores) == 1
    assert len({store.worker for store in stores}) == 8
    for store in stores:
        store.close()


def test_an_idle_connection_that_broke_is_replaced(postgres_server, postgres_url):
    with open_state(postgres_url) as state:
        state.register_wallets([WALLET], "trades")
        cut_connections(postgres_server, postgres_url)
        assert state.claim_wallets(1) == [WALLET]


def test_a_connection_that_breaks_at_work_is_an_error_and_changes_nothing(postgres_server, postgres_url):
    with open_state(postgres_url) as state:
        state.register_wallets([WALLET], "trades")
        with pytest.raises(RetryableError, match=r"^The state store is unavailable: .*terminat"):  # noqa: SIM117
            with state._writing() as connection:
                state._lease(connection, [WALLET], None, 5)
                cut_connections(postgres_server, postgres_url)
                state._lease(connection, [WALLET], None, 5)
        assert state.wallet(WALLET).status == "pending"
        assert state.claim_wallets(1) == [WALLET], "and it goes on"


def test_a_server_that_is_away_is_retryable_and_work_goes_on_when_it_is_back(postgres_server, postgres_url):
    with open_state(postgres_url) as state:
        state.set_note("fact", 1)
        postgres_server.stop()
        try:
            for attempt in (lambda: state.get_note("fact"), lambda: state.set_note("fact", 2)):
                with pytest.raises(RetryableError, match="unavailable"):
                    attempt()
            with pytest.raises(RetryableError) as caught:
                open_state(postgres_url)
            assert postgres_server.password not in str(caught.value)
        finally:
            postgres_server.start()
        assert state.get_note("fact") == 1
        state.set_note("fact", 3)


def test_a_refused_user_is_an_auth_error_without_the_password(postgres_server, postgres_url):
    for url in (
        postgres_url.replace(postgres_server.password, "wr%40ng-secret"),
        postgres_url.replace(f":{postgres_server.password}", ""),
        postgres_url.replace("//polyhouse:", "//nobody-we-know:"),
    ):
        with pytest.raises(AuthError) as caught:
            open_state(url)
        assert "secret" not in str(caught.value) + caught.value.hint
        assert "wr@ng" not in str(caught.value)


@pytest.mark.parametrize("change", ["/nowhere", "?sslmode=nonsense", "?no_such_option=1"])
def test_a_wrong_place_is_a_settings_error_without_the_password(postgres_server, postgres_url, change):
    url = postgres_url.rpartition("/")[0] + change if change[0] == "/" else postgres_url + change
    with pytest.raises(ConfigError) as caught:
        open_state(url)
    assert postgres_server.password not in str(caught.value) + caught.value.hint


def test_a_password_with_every_odd_character(postgres_server, postgres_url):
    password = "p@ss/w:rd%?#&= 'ü"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE ROLE odd LOGIN PASSWORD {}").format(password))
        connection.execute(
            psycopg.sql.SQL("GRANT CREATE ON DATABASE {} TO odd").format(psycopg.sql.Identifier(name_of(postgres_url)))
        )
    try:
        odd = f"postgres://odd:{quote(password, safe='')}@127.0.0.1:{postgres_server.port}/{name_of(postgres_url)}"
        with open_state(odd) as state:
            state.set_note("fact", 1)
    finally:
        postgres_server.execute("DROP OWNED BY odd CASCADE", name_of(postgres_url))
        postgres_server.execute("DROP ROLE odd")


def test_a_user_without_rights_is_told_which_are_missing(postgres_server, postgres_url):
    postgres_server.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    try:
        with pytest.raises(ConfigError, match="refuses us a right") as caught:
            open_state(f"postgresql://guest:guest@127.0.0.1:{postgres_server.port}/{name_of(postgres_url)}")
        assert "CREATE on the database" in caught.value.hint
    finally:
        postgres_server.execute("DROP ROLE guest")


def test_it_lives_beside_an_applications_own_tables(postgres_server, postgres_url):
    name = name_of(postgres_url)
    postgres_server.execute("CREATE TABLE wallets (wallet_address text)", name)
    postgres_server.execute("CREATE TABLE alembic_version (version_num text)", name)
    with open_state(postgres_url) as state:
        state.register_wallets([WALLET], "trades")
    assert postgres_server.execute("SELECT count(*) FROM public.wallets", name) == [(0,)]
    assert postgres_server.execute("SELECT count(*) FROM polyhouse.wallets", name) == [(1,)]


def test_a_newer_store_is_refused(postgres_server, postgres_url):
    open_state(postgres_url).close()
    postgres_server.execute("UPDATE polyhouse.alembic_version SET version_num = '9999'", name_of(postgres_url))
    with pytest.raises(ConfigError, match="newer version"):
        open_state(postgres_url)


def test_a_statement_that_takes_too_long_ends_as_retryable(postgres_url, monkeypatch):
    monkeypatch.setattr(database, "STATEMENT_SECONDS", 1)
    with open_state(postgres_url) as state:
        with pytest.raises(RetryableError, match="statement timeout"), state._writing() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(20)")
        state.set_note("fact", 1)


def test_writers_that_wait_for_each_other_end_as_retryable(postgres_url):
    first, second = open_state(postgres_url), open_state(postgres_url)
    with first, second:
        first.register_wallets([WALLET, b"\x08" * 20], "trades")

        def lease(store, order):
            with store._writing() as connection:
                store._lease(connection, [order[0]], None, 5)
                barrier.wait()
                store._lease(connection, [order[1]], None, 5)

        barrier, pair = Barrier(2), [WALLET, b"\x08" * 20]
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(lease, first, pair), pool.submit(lease, second, pair[::-1])]
        errors = [future.exception() for future in futures]
        assert sorted(type(error).__name__ for error in errors) == ["NoneType", "RetryableError"]


def test_leases_are_measured_by_the_servers_clock(postgres_url, monkeypatch):
    real = lifecycle.time.time
    with open_state(postgres_url) as right:
        monkeypatch.setattr(lifecycle.time, "time", lambda: real() - 3_600)
        with open_state(postgres_url) as behind:
            right.register_wallets([WALLET], "trades")
            behind.claim_wallets(1)
            assert right.promote_due() == 0, "the lease of a machine whose clock is an hour late holds"


def test_nothing_is_prepared_on_the_server(postgres_server, postgres_url):
    """Poolers that hand out a connection per transaction do not know what another one prepared."""
    with open_state(postgres_url) as state:
        for _ in range(12):
            state.register_wallets([WALLET], "trades")
            state.claim_wallets(1)
            state.release_worker()
        with state._reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0
