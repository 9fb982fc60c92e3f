"""Python and exports while ``polyhouse serve`` owns the store; and what happens when it breaks off."""

import asyncio
import json
import socket
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from api_server import Server, polyhouse

import polyhouse as package
from polyhouse.api.remote import stream_from
from polyhouse.errors import AuthError, BadInputError, WarehouseUnavailableError
from polyhouse.reads.relations.question import Question
from polyhouse.warehouse.lock import HolderInfo, holder

pytestmark = pytest.mark.timeout(300)  # the first one waits for the store


@pytest.fixture(scope="module")
def server(home):
    with package.open(home) as alone:
        expected = alone.trades().ordered().arrow()
    running = Server(home)
    running.trades = expected
    yield running
    assert running.stop() in {0, 143}


def test_python_asks_the_server_by_itself_and_gets_the_same(server):
    with package.open(server.home) as house:
        assert house.trades().ordered().arrow().equals(server.trades)
        best = house.leaderboard(min_units=1, min_gains_losses="0").rows()[0]
        assert house.wallet(best.wallet).totals.trades == house.trades(best.wallet).count()
        assert house.sql("SELECT count() AS n FROM vw_positions").rows()[0]["n"] > 0
        assert house.trades([best.wallet]).where("volume > 0").rows()[0].wallet == best.wallet
        with pytest.raises(BadInputError, match="'trades'"):
            house.table("trads").arrow()
        assert holder(f"chdb://{server.home / 'warehouse'}").pid == server.process.pid


def test_questions_are_awaited_side_by_side(server):
    async def main():
        async with package.open_async(server.home) as house:
            board, rows, counted = await asyncio.gather(
                house.leaderboard(min_units=1, limit=3), house.trades().limit(5).rows(), house.trades().count()
            )
            streamed = 0
            async for batch in house.trades().iter_arrow():
                streamed += batch.num_rows
            return len(board), len(rows), counted, streamed

    assert asyncio.run(main()) == (3, 5, server.trades.num_rows, server.trades.num_rows)


def test_exports_go_through_the_server(server, tmp_path):
    target = tmp_path / "trades.parquet"
    result = polyhouse(server.home, "export", "trades", "--to", str(target), "--rows-per-part", "500", "--json")
    assert result.returncode == 0, result.stderr
    assert pq.read_table(target).equals(server.trades)
    assert json.loads(result.stdout)["rows"] == server.trades.num_rows


def test_the_door_for_tables_needs_the_key_and_a_question(server):
    body = Question(table="trades").document()
    assert server.json("/internal/table", "POST", body)[0] == 401
    info = holder(f"chdb://{server.home / 'warehouse'}")
    token = open(info.token_file).read()  # noqa: PTH123, SIM115
    headers = {"Authorization": f"Bearer {token}"}
    for wrong in ({}, {"table": "trades", "sql": "SELECT 1"}, {"table": "trades", "limit": -1}, {"table": 5}):
        status, document = server.json("/internal/table", "POST", wrong, headers)
        assert (status, document["code"]) == (422, "BAD_INPUT"), wrong
    assert server.raw("/internal/table", "POST", b"x" * 70_000, headers)[0] == 413


@pytest.fixture
def broken(tmp_path):
    """A server that sends the first half of an answer and breaks off, as a killed one does."""
    table = pa.table({"a": list(range(100_000))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=10_000)
    whole = bytes(sink.getvalue())
    token = tmp_path / "token"
    token.write_text("key")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            try:
                peer, _ = listener.accept()
            except OSError:  # nobody came before the end
                return
            with peer:
                peer.recv(65_536)
                half = whole[: len(whole) // 2]
                peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(half), half))

        threading.Thread(target=answer, daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield HolderInfo(1, "polyhouse serve", 1_780_000_000, address, str(token))


def test_an_answer_that_breaks_off_is_an_error_and_no_shorter_table(broken):
    taken = 0
    with (
        pytest.raises(WarehouseUnavailableError, match="does not answer"),
        stream_from(broken, Question(table="trades")) as answer,
    ):
        for batch in answer.batches:
            taken += batch.num_rows
    assert taken < 100_000


def test_a_server_whose_key_cannot_be_read_is_named(broken, tmp_path):
    lost = HolderInfo(broken.pid, broken.command, broken.started_at, broken.url, str(tmp_path / "none"))
    with pytest.raises(AuthError, match="polyhouse serve"), stream_from(lost, Question(table="trades")):
        pass
