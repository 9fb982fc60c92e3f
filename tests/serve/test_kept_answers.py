"""Answers from memory: the same as all others, and never older than what was committed when the request came; and what
is not made in time ends in a clear document.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time

import pytest
from api_server import NOBODY, Server, fill
from httpx import ASGITransport, AsyncClient

from polyhouse.domain.ids import parse_address
from polyhouse.errors import RetryableError
from polyhouse.jobs.runner import JobRunner
from polyhouse.reads.boards import boards_of
from polyhouse.reads.builds import newest_build
from polyhouse.reads.queries import answer
from polyhouse.serve.answers import THREADS, Answers, Asked, key_of
from polyhouse.serve.app import create_app
from polyhouse.serve.context import ServeContext
from polyhouse.serve.forms import FORMS
from polyhouse.serve.gauges import RequestCounter, exposition
from polyhouse.serve.openapi import EXAMPLE_MARKET, EXAMPLE_WALLET
from polyhouse.settings import Settings
from polyhouse.state.glance import Glance
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.touched import rebuild_touched
from polyhouse.wiring import Stores, open_stores

BOARD = "/api/leaderboard?min_units=0&min_gains_losses=0"
WALLET = f"/api/wallets/{EXAMPLE_WALLET}"
OTHER = bytes(19) + b"\1"
USD = 1_000_000
SLOW = "SELECT sum(cityHash64(number, number + 1)) FROM numbers(1000000000000)"
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = tmp_path_factory.mktemp("kept")
    fill(made, EXAMPLE_WALLET, EXAMPLE_MARKET)
    return made


@pytest.fixture(scope="module")
def stores(home):
    with open_stores(Settings(home=home)) as opened:
        yield opened


@pytest.fixture
def answers(stores):
    with stores.warehouse.reader() as reader:
        made = Answers(Stores(reader, stores.state))
        yield made
        made.close()


def observe(stores, wallet, number):
    """One more purchase of a wallet is stored; nothing is built."""
    stores.warehouse.write("observations", {
        "wallet": [wallet], "token": [bytes.fromhex("01" * 32)], "condition": [bytes.fromhex(EXAMPLE_MARKET[2:])],
        "tx": [bytes([number]) * 32], "source": ["activity"], "kind": ["BUY"], "ts": [1_780_000_200 + number],
        "pos": [1], "shares": [2 * USD], "cash": [USD], "usdc_gross": [USD], "outcome": [0],
    }, run=1, token=f"k{number}")  # fmt: skip


QUESTIONS = {
    "wallet": {"address": EXAMPLE_WALLET, "window": "lifetime"},
    "other": {"address": f"0x{OTHER.hex()}", "window": "lifetime"},
    "leaderboard": {"min_units": 0, "min_gains_losses": "0"},
}


def boards_kept(stores):
    """Slices of boards that are kept in memory, as of the newest build, and the orders of each."""
    newest, _ = newest_build(stores.warehouse)
    return {
        part.window: {name[1] for name in names if name[0] == "order"}
        for (part, build), names in boards_of(stores.warehouse).shelf.boards()
        if build == newest
    }


def test_boards_that_were_asked_for_are_read_after_a_build_before_somebody_asks_again(stores):
    async def published(answers):
        number = newest_build(stores.warehouse)[0] + 1
        stores.warehouse.command(f"INSERT INTO builds VALUES ({number}, 1780000000, 'all', 1, 1, 0.1, now())")
        await answers.marks()
        await asyncio.wrap_future(answers._pool.submit(lambda: None))  # behind what the build began, on the one thread
        return boards_kept(answers.stores)

    async def steps(answers):
        everybody = {"min_units": 0, "min_gains_losses": "0"}
        await answers.get("leaderboard", everybody)
        await answers.get("leaderboard", everybody | {"window": "7d", "sort": "pnl", "reverse": True})
        shelf = boards_of(answers.stores.warehouse).shelf
        told = exposition(answers.stores.warehouse, answers.stores.state, RequestCounter())
        assert f"polyhouse_boards_bytes {shelf.held()}\n" in told
        assert f"polyhouse_boards_bytes_most {shelf.most_bytes}\n" in told
        both = {"lifetime": {"omega"}, "7d": {"pnl"}}
        assert boards_kept(answers.stores) == await published(answers) == both
        await answers.get("leaderboard", everybody)
        assert await published(answers) == {"lifetime": {"omega"}}, "nobody asked for the other one since"

    with stores.warehouse.reader() as reader:
        answers = Answers(Stores(reader, stores.state), threads=1)
        asyncio.run(steps(answers))
        answers.close()


async def asked(answers, question):
    """The body, asked as the routes do."""
    name, arguments = question.replace("other", "wallet"), QUESTIONS[question]
    body = await answers.body(name, arguments, FORMS[0])
    answers.remember(question, Asked(name, arguments, FORMS[0], key_of(name, arguments, FORMS[0]), "/"))
    return body


def kept(answers):
    """Questions that are answered from memory now."""
    return {question for question in QUESTIONS if answers.known(question) is not None}


def test_what_is_kept_is_forgotten_with_the_first_change_of_what_it_was_made_from(stores, answers):
    wallet = parse_address(EXAMPLE_WALLET)

    async def steps():
        async def all_bodies():
            return {question: (await asked(answers, question)).plain for question in QUESTIONS}

        assert kept(answers) == set()
        first = await all_bodies()
        assert kept(answers) == set(QUESTIONS)
        assert all(answers.known(question)[1].plain == plain for question, plain in first.items())

        observe(stores, wallet, 3)
        assert kept(answers) == {"other", "leaderboard"}, "nobody else's rows came"
        second = await all_bodies()
        assert b'"rows":3' in second["wallet"], "the sources tell of the row that came"

        stores.state.mark_failed(OTHER, "gone away")
        assert kept(answers) == {"wallet", "leaderboard"}
        assert b"gone away" in (await asked(answers, "other")).plain

        rebuild_touched(stores.warehouse, stores.state, [wallet], NullReporter())
        assert kept(answers) == set(), "a build may change everything"
        assert (await asked(answers, "leaderboard")).plain != first["leaderboard"]
        await all_bodies()
        stores.warehouse.write(
            "markets",
            {"condition": [bytes.fromhex(EXAMPLE_MARKET[2:])], "source": ["clob"], "outcomes": [["Yeah", "Nope", ""]]},
            run=1, token="named anew",
        )  # fmt: skip
        assert kept(answers) == {"leaderboard"}, "outcomes have names in both wallets"
        assert b"Yeah" in (await asked(answers, "wallet")).plain

    asyncio.run(steps())


def test_what_only_builds_change_is_read_once_between_two_builds(stores, monkeypatch):
    statements, query = [], type(stores.warehouse).query
    monkeypatch.setattr(
        type(stores.warehouse), "query", lambda self, sql, *more: statements.append(sql) or query(self, sql, *more)
    )
    wallet = parse_address(EXAMPLE_WALLET)
    rebuild_touched(stores.warehouse, stores.state, [wallet], NullReporter())

    def document():
        statements.clear()
        return answer("wallet", {"address": EXAMPLE_WALLET}, stores.warehouse, stores.state)

    first = document()
    assert sum("FROM wallet_documents" in sql for sql in statements) == 1
    assert document() == first
    assert statements == []
    observe(stores, wallet, 7)
    second = document()
    assert len(statements) == 1
    assert "FROM observations" in statements[0]
    assert "FROM wallet_documents" not in statements[0]
    assert [(one["rows"], one["used"]) for one in second["coverage_details"]["sources"]] == [
        (one["rows"] + 1, one["used"]) for one in first["coverage_details"]["sources"]
    ]
    assert (second["totals"], second["positions"]) == (first["totals"], first["positions"])
    rebuild_touched(stores.warehouse, stores.state, [wallet], NullReporter())
    third = document()
    assert third["totals"]["trades"] == first["totals"]["trades"] + 1
    assert third["coverage_details"]["sources"][0]["used"] == second["coverage_details"]["sources"][0]["used"] + 1


def test_a_glance_tells_what_the_registry_does(stores):
    glance = Glance(stores.state)
    try:
        for wallet in (parse_address(EXAMPLE_WALLET), OTHER, bytes(20)):
            assert glance.now(wallet) == (glance.wait(wallet),)
        stores.state.mark_failed(OTHER, "again")
        assert glance.now(OTHER) == (glance.wait(OTHER),)
        assert "again" in glance.wait(OTHER)
    finally:
        glance.close()


def test_the_status_tells_at_once_of_markets_that_came(stores, answers):
    async def markets():
        return (await answers.get("status", {})).document["markets"]

    async def steps():
        before = await markets()
        stores.warehouse.write(
            "markets", {"condition": [b"\x77" * 32], "source": ["gamma"], "outcomes": [["A", "B"]]}, run=1, token="new"
        )
        assert await markets() == before + 1

    asyncio.run(steps())


def test_many_who_ask_for_one_new_page_cost_one_reading(stores, answers):
    observe(stores, parse_address(EXAMPLE_WALLET), 8)
    counted = []

    async def steps():
        query = stores.warehouse.__class__.query

        def counting(self, sql, params=None):
            counted.append(sql)
            return query(self, sql, params)

        answers.stores.warehouse.__class__.query = counting
        try:
            bodies = await asyncio.gather(*(asked(answers, "wallet") for _ in range(50)))
        finally:
            answers.stores.warehouse.__class__.query = query
        assert len({id(body) for body in bodies}) == 1

    asyncio.run(steps())
    assert len([sql for sql in counted if "FROM observations" in sql]) == 1


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = tmp_path_factory.mktemp("kept-server")
    fill(made, EXAMPLE_WALLET, EXAMPLE_MARKET)
    running = Server(made, api_cors_origins="https://example.org", **NOBODY)
    yield running
    running.stop()


def shape(answer):
    """An answer without what differs between any two."""
    status, headers, content = answer
    return status, {name: value for name, value in headers.items() if name not in {"x-request-id", "date"}}, content


@pytest.mark.parametrize("path", [BOARD, WALLET, f"{WALLET}/trades", f"/api/markets/{EXAMPLE_MARKET}"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept-Encoding": "gzip"},
        {"If-None-Match": "*"},
        {"If-None-Match": 'W/"0"'},
        {"Accept": "text/*, */*;q=0.1"},
    ],
)
def test_an_answer_from_memory_is_like_any_other(server, path, headers):
    first, again = (server.raw(path, headers=headers) for _ in range(2))
    elsewhere = server.raw(path, headers=headers | {"Origin": "https://example.org"})
    assert shape(first) == shape(again)
    assert first[1]["x-request-id"] != again[1]["x-request-id"]
    plain = {name: value for name, value in elsewhere[1].items() if not name.startswith("access-control-")}
    assert shape((elsewhere[0], plain, elsewhere[2])) == shape(again), "pages of other origins take the long road"


def test_answers_from_memory_are_counted_under_their_route(server):
    def count():
        found = re.search(r'requests_total\{method="GET",route="/api/leaderboard",status="200"\} (\d+)', page())
        return int(found.group(1)) if found else 0

    def page():
        return server.request("/metrics")[2]

    server.request(BOARD)
    before = count()
    for _ in range(3):
        server.request(BOARD)
    assert count() == before + 3


async def test_a_statement_without_an_end_is_stopped_by_the_engine(stores):
    with stores.warehouse.reader() as reader:
        answers = Answers(Stores(reader, stores.state), most_seconds=0.5)
        try:
            began = time.monotonic()
            with pytest.raises(RetryableError, match="stopped a statement that took too long"):
                await answers.run(lambda: reader.query(SLOW))
            assert time.monotonic() - began < 20
            assert reader.query("SELECT 1").rows == [(1,)]
        finally:
            answers.close()
    assert stores.warehouse.engine.statement_seconds == 0, "whoever writes and builds is not stopped"


async def test_a_request_that_finds_no_thread_ends_with_a_problem_and_the_next_one_is_answered(stores, home):
    settings, gate = Settings(home=home), threading.Event()
    jobs = JobRunner(settings, stores, is_live=False)
    with stores.warehouse.reader() as reader:
        answers = Answers(Stores(reader, stores.state), most_seconds=0.5)
        context = ServeContext(settings, stores, jobs, answers, RequestCounter(), "token")
        transport = ASGITransport(create_app(context))
        try:
            for _ in range(THREADS):
                answers._pool.submit(gate.wait)
            async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                refused = await client.get(BOARD)
                gate.set()
                # As clients do: on a busy machine the first one may be late again.
                for _ in range(20):
                    answered = await client.get(BOARD)
                    if answered.status_code == 200:
                        break
        finally:
            gate.set()
            answers.close()
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    problem = refused.json()
    assert (problem["code"], int(refused.headers["retry-after"]) > 0) == ("WAREHOUSE_UNAVAILABLE", True)
    assert problem["detail"] == "The answer was not made within 0.5 s and was given up."
    assert problem["hint"]
    assert answered.status_code == 200
