"""The feed over HTTP: pages, a stream that shows news at once, resumption after a restart of the server."""

import http.client
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import Queue
from urllib.parse import urlsplit

import pytest

import polyhouse as package

HERE = Path(__file__).parent


class Server:
    """A server with a wire for new trades: each line on its stdin is one more trade that becomes known."""

    def __init__(self, home):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
        environment = kept | {"POLYHOUSE_HOME": str(home), "PYTHONPATH": str(Path(package.__file__).parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "trading_server.py")], env=environment, cwd=home, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.address = urlsplit(self.process.stdout.readline().strip()).netloc

    def trade(self, number):
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == f"told {number}"

    def get(self, path, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text)

    def stream(self, path, headers=None):
        """A queue that gets (event, id, data) of every event, as it comes."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request("GET", path, headers={"Accept": "text/event-stream"} | (headers or {}))
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = Queue()

        def read():
            fields = {}
            # When the server is gone, what it had sent is in the queue.
            with suppress(OSError, http.client.HTTPException, ValueError):
                for raw in response:
                    line = raw.decode().rstrip("\n")
                    if line and not line.startswith(":"):
                        name, _, value = line.partition(": ")
                        fields[name] = value
                    elif fields:
                        events.put((fields.get("event"), fields.get("id"), json.loads(fields["data"])))
                        fields = {}

        threading.Thread(target=read, daemon=True).start()
        return events

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=30)


def trades(events, count):
    """The next ``count`` trades of a stream, and the names of everything else before them."""
    found, others = [], []
    while len(found) < count:
        kind, number, body = events.get(timeout=60)
        if kind == "trade":
            found.append((int(number), int(body["tx"][2:4], 16)))
        else:
            others.append(kind)
    return found, others


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def test_news_come_at_once_and_a_killed_server_loses_none(home):
    server = Server(home)
    try:
        fresh = server.stream("/api/events")
        assert fresh.get(timeout=60)[0] == "build"  # tells where the reader is; nothing older follows
        big = server.stream("/api/events?kind=trade&min_volume=6&after=0")
        server.trade(3)
        (first,), others = trades(fresh, 1)
        assert first[1] == 3
        assert set(others) <= {"build", "leaderboard"}
        server.trade(7)
        server.trade(8)
        assert [tx for _, tx in trades(big, 2)[0]] == [7, 8]
        status, page = server.get("/api/feed?kind=trade&limit=2")
        assert (status, [int(e["tx"][2:4], 16) for e in page["events"]]) == (200, [3, 7])
    finally:
        server.kill()

    server = Server(home)
    try:
        server.trade(9)
        resumed = server.stream("/api/events?kind=trade", {"Last-Event-ID": str(first[0])})
        found, _ = trades(resumed, 3)
        assert [tx for _, tx in found] == [7, 8, 9]
        assert [number for number, _ in found] == sorted({number for number, _ in found})
        assert server.stream("/api/events?after=999999").get(timeout=60)[0] == "build"
        gone = server.stream("/api/events?after=999999")
        assert [gone.get(timeout=60)[0] for _ in range(2)] == ["build", "missed"]
        for wrong in ("?kind=fill", "?wallet=0x1", "?after=-1", "?min_volume=x"):
            assert server.get(f"/api/events{wrong}")[0] == 422
            assert server.get(f"/api/feed{wrong}")[0] == 422
        assert server.get("/api/events", {"Last-Event-ID": "x"})[0] == 422
    finally:
        server.kill()
