"""User tables of a real PostgreSQL: what is read, what is refused, what is linked, and that secrets stay secret."""

from __future__ import annotations

import logging
import random

import psycopg
import pytest

from polyhouse.domain.contracts import EX1
from polyhouse.domain.ids import (
    format_address,
    wallet_deposit_beacon,
    wallet_deposit_uups,
    wallet_proxy,
    wallet_safe,
)
from polyhouse.errors import AuthError, ConfigError, RetryableError
from polyhouse.sources.user_tables import UserTables

TABLES = """
CREATE TABLE profiles (id serial PRIMARY KEY, email text, trading_wallet_address text, wallet_address varchar(80));
CREATE TABLE turnkey_wallets (id serial PRIMARY KEY, polymarket_account_address text, eoa_address text);
CREATE TABLE clob_credentials (id serial PRIMARY KEY, polymarket_account_address text, api_secret text);
CREATE TABLE user_wallets (id serial PRIMARY KEY, proxy_wallet text, eoa_wallet text);
"""


def address(seed: int) -> str:
    return format_address(random.Random(seed).randbytes(20))


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def fill(url: str, *statements: tuple[str, list[tuple]]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES)
        for statement, rows in statements:
            with connection.cursor() as cursor:
                cursor.executemany(statement, rows)


def links(session):
    rows = session.warehouse.query("SELECT owner, wallet, kind, source FROM wallet_links_view ORDER BY ALL").rows
    return {tuple(row) for row in rows}


async def test_every_column_is_read_and_bad_values_are_named(lab, postgres_url):
    wallets = [address(n) for n in range(6)]
    eoas = [address(n) for n in range(100, 102)]
    fill(
        postgres_url,
        (
            "INSERT INTO profiles (email, trading_wallet_address, wallet_address) VALUES (%s, %s, %s)",
            [
                ("a@example.org", wallets[0], wallets[1].upper().replace("0X", "0x")),
                ("b@example.org", f"  {wallets[0]} ", None),
                ("c@example.org", "", "not-a-wallet-7431"),
                ("d@example.org", format_address(EX1), "0x1234"),
            ],
        ),
        (
            "INSERT INTO turnkey_wallets (polymarket_account_address, eoa_address) VALUES (%s, %s)",
            [(wallets[2], eoas[0]), (None, "0x" + "ab" * 32)],
        ),
        ("INSERT INTO clob_credentials (polymarket_account_address) VALUES (%s)", [(wallets[3],)]),
        ("INSERT INTO user_wallets (proxy_wallet, eoa_wallet) VALUES (%s, %s)", [(wallets[4], eoas[1])]),
    )
    async with lab.session(users_url=postgres_url) as session:
        report, found = await session.discover("users")
        assert (report.status, report.exit_code) == ("partial", 1)
        assert set(session.registry()) == set(wallets[:5])
        assert all(words == ("users",) for words in session.registry().values())
        assert dict(found.rejected) == {"profiles.wallet_address": 2, "turnkey_wallets.eoa_address": 1}
        assert found.sources["users"] == {"seen": 5, "new": 5, "known": 0, "rejected": 4}
        assert any("profiles.wallet_address: 2 values" in error for error in report.errors)
        assert not any("7431" in error or "abab" in error for error in report.errors)
        assert links(session) == {
            (eoas[0], eoas[0], "eoa", "users"), (eoas[0], wallets[2], "stated", "users"),
            (eoas[1], eoas[1], "eoa", "users"), (eoas[1], wallets[4], "stated", "users"),
        }  # fmt: skip
        _, again = await session.discover("users")
        assert again.sources["users"] == {"seen": 5, "new": 0, "known": 5, "rejected": 4}
        assert again.links == 0


async def test_signers_are_linked_to_the_wallets_that_follow_from_them(lab, postgres_url):
    eoas = [raw(address(n)) for n in range(200, 204)]
    proxy, safe = wallet_proxy(eoas[0]), wallet_safe(eoas[1])
    deposits = wallet_deposit_uups(eoas[0]), wallet_deposit_beacon(eoas[1])
    rows = [(None, format_address(eoa)) for eoa in eoas[:3]]
    fill(
        postgres_url,
        ("INSERT INTO turnkey_wallets (polymarket_account_address, eoa_address) VALUES (%s, %s)", rows),
        ("INSERT INTO user_wallets (proxy_wallet, eoa_wallet) VALUES (%s, %s)", [
            (format_address(wallet_proxy(eoas[3])), format_address(eoas[3]))]),
        ("INSERT INTO profiles (wallet_address) VALUES (%s)", [(format_address(eoas[1]),)]),
    )  # fmt: skip
    async with lab.session(users_url=postgres_url) as session:
        session.state.register_wallets([proxy, deposits[0]], "user")
        columns = {"wallet": [safe, eoas[2]], "source": ["dump"] * 2, "kind": ["BUY"] * 2, "ts": [1_780_000_000] * 2}
        session.warehouse.write("observations", columns, run=1, token="dump")
        _, found = await session.discover("users")
        expected = {(eoa, eoa, "eoa") for eoa in eoas} | {
            (eoas[0], proxy, "proxy"), (eoas[0], deposits[0], "deposit"), (eoas[1], safe, "safe"),
            (eoas[3], wallet_proxy(eoas[3]), "proxy"),
        }  # fmt: skip
        assert links(session) == {(format_address(a), format_address(b), kind, "users") for a, b, kind in expected}
        # A signer is no wallet, unless it trades itself; of unknown kind is one until its family is known.
        registered = {raw(text) for text in session.registry()}
        assert registered == {proxy, deposits[0], eoas[2], wallet_proxy(eoas[3])}

        session.state.register_wallets([deposits[1]], "user")
        _, found = await session.discover("ledger")
        assert found.links == 1
        assert (format_address(eoas[1]), format_address(deposits[1]), "deposit", "users") in links(session)
        linked = session.warehouse.query("SELECT min(seen_at), max(seen_at), count() FROM wallet_links_current").rows[0]
        assert linked[2] == len(expected) + 1


async def test_missing_tables_and_columns_are_reported_and_not_fatal(lab, postgres_server, postgres_url):
    wallet = address(1)
    database = postgres_url.rpartition("/")[2]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE profiles (wallet_address text)")
        connection.execute("INSERT INTO profiles VALUES (%s)", [wallet])
        connection.execute("CREATE TABLE user_wallets (proxy_wallet text, eoa_wallet text)")
        connection.execute("INSERT INTO user_wallets VALUES (%s, %s)", [address(2), address(3)])
        connection.execute(f"DROP ROLE IF EXISTS reader_{database}")
        connection.execute(f"CREATE ROLE reader_{database} LOGIN PASSWORD 'read-only-7431'")
        connection.execute(f"GRANT SELECT ON profiles TO reader_{database}")
        connection.execute(f"GRANT SELECT (proxy_wallet) ON user_wallets TO reader_{database}")
        connection.execute("ALTER TABLE user_wallets ENABLE ROW LEVEL SECURITY")
    url = f"postgresql://reader_{database}:read-only-7431@127.0.0.1:{postgres_server.port}/{database}"
    async with lab.session(users_url=url) as session:
        report, found = await session.discover("users")
        assert (report.status, set(session.registry())) == ("ok", {wallet})
        assert found.missing == [
            "the column profiles.trading_wallet_address is not there",
            "the table turnkey_wallets is not there",
            "the table clob_credentials is not there",
            "the column user_wallets.eoa_wallet may not be read by this user",
            "row security may hide rows of user_wallets from this user",
        ]
        assert all(f"User tables: {text}." in session.reporter.notes for text in found.missing)


def test_a_database_without_any_of_the_tables_is_an_error(postgres_url):
    with pytest.raises(ConfigError, match="none of them"):
        list(UserTables(postgres_url).read())


def test_nothing_can_be_written(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE visits (at timestamptz DEFAULT now())")
        connection.execute(
            "CREATE FUNCTION spy() RETURNS TABLE (wallet_address text) LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO visits DEFAULT VALUES; RETURN QUERY SELECT '0x'::text; END $$"
        )
        connection.execute("CREATE VIEW profiles AS SELECT * FROM spy()")
        with pytest.raises(RetryableError, match="ReadOnlySqlTransaction"):
            list(UserTables(postgres_url).read())
        assert connection.execute("SELECT count(*) FROM visits").fetchone() == (0,)


def test_rows_come_in_groups(postgres_url):
    fill(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO clob_credentials (polymarket_account_address)"
            " SELECT '0x' || lpad(to_hex(n), 40, '0') FROM generate_series(1, 12000) AS n"
        )
    groups = [len(group.wallets) for group in UserTables(postgres_url).read(group=5_000)]
    assert groups == [5_000, 5_000, 2_000]


async def test_an_unreachable_database_fails_its_source_alone(lab, postgres_server, postgres_url):
    secret = "pass-7431-word"
    gone = f"postgresql://reader:{secret}@127.0.0.1:1/users"
    async with lab.session(users_url=gone) as session:
        session.warehouse.write(
            "observations", {"wallet": [raw(address(1))], "source": ["dump"], "kind": ["BUY"]}, run=1, token="dump"
        )
        report, _ = await session.discover("ledger", "users")
        assert report.exit_code != 0
        assert set(session.registry()) == {address(1)}
        assert any(error.startswith("users: ") for error in report.errors)
        report, _ = await session.discover("users")
        assert (report.status, report.exit_code) == ("failed", 3)
        assert secret not in "".join(report.errors)
    wrong = postgres_url.replace(postgres_server.password, secret)
    with pytest.raises(AuthError) as caught:
        list(UserTables(wrong).read())
    assert secret not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("url", ["mysql://u:pass-7431@h/db", "postgresql://u:pass-7431@h:port/db", "pass-7431"])
def test_other_urls_are_refused_without_showing_them(url, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigError) as caught:
        UserTables(url)
    assert "7431" not in str(caught.value) + caplog.text
