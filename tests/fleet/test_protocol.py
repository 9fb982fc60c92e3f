"""What the owner does with those who do not speak its language, and who fetches which page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from polyhouse.errors import (
    CircuitOpenError,
    CursorRejectedError,
    PolyhouseError,
    RateLimitedError,
    RetryableError,
    UpstreamContractError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from polyhouse.fleet import Fleet, lead, protocol
from polyhouse.fleet.connection import Connection
from polyhouse.fleet.meeting import Meeting, find_meeting, meeting_place
from polyhouse.fleet.worker import work
from polyhouse.ports import Page, Partition, Position, Reject
from polyhouse.sources.http import DATA, SystemClock
from polyhouse.sources.http.lanes import build_lanes

NOBODY = "http://127.0.0.1:9"


class Letters:
    """A stream that only knows its name; its pages come from workers."""

    name = "data.activity"

    def restart_position(self, position: Position) -> Position:
        return {}


@contextlib.asynccontextmanager
async def leading(home: Path, limit: int = 400) -> AsyncIterator[Fleet]:
    clock = SystemClock()
    lanes = {"data": build_lanes(DATA, clock, limit / 400, 0.5, 120.0)}
    async with lead(home, workers=0, lanes=lanes, urls={"data": NOBODY}, note=print, clock=clock) as fleet:
        yield fleet


async def dial(home: Path) -> Connection[Any]:
    meeting = find_meeting(home)
    assert meeting is not None
    reader, writer = await asyncio.open_unix_connection(meeting.socket)
    return Connection(reader, writer, protocol.FromOwner, protocol.MAX_FRAME_BYTES)


async def hire(home: Path, pid: int = 1, hands: int = 1) -> Connection[Any]:
    connection = await dial(home)
    meeting = find_meeting(home)
    connection.send(protocol.Hello(meeting.token, protocol.VERSION, pid, hands))
    assert isinstance(await connection.receive(), protocol.Welcome)
    return connection


def page(number: int, *, is_last: bool = False) -> Page:
    return Page({"observations": {"ts": [number]}}, {"after": number}, is_last, 1)


async def take(connection: Connection[Any], kind: type) -> Any:
    message = await connection.receive(5)
    assert isinstance(message, kind), message
    return message


async def collect(fleet: Fleet, key: str) -> list[Position]:
    return [one.position async for one in fleet.stream(Letters()).pages(Partition("data.activity", key), {})]


async def until(what: Callable[[], object]) -> None:
    while not what():  # noqa: ASYNC110 - the process that changes it is not ours
        await asyncio.sleep(0.02)


async def test_strangers_are_refused_and_the_owner_goes_on(tmp_path: Path) -> None:
    greeting = msgspec.msgpack.Encoder().encode(protocol.Hello("wrong", protocol.VERSION, 1, 1))
    random_bytes = random.Random(7)
    async with leading(tmp_path) as fleet:
        token = find_meeting(tmp_path).token
        good = msgspec.msgpack.Encoder().encode(protocol.Hello(token, protocol.VERSION, 1, 1))
        strangers = [
            len(greeting).to_bytes(4, "big") + greeting,  # a wrong word
            (2**31).to_bytes(4, "big") + b"x" * 100,  # more than a greeting needs
            (5_000).to_bytes(4, "big") + bytes(5_000),
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"",
            (3).to_bytes(4, "big") + b"\xc1\xc1\xc1",  # no msgpack
            (len(good)).to_bytes(4, "big") + good + b"\x7f\xff\xff\xff",  # the right word, then an endless frame
            *((n := random_bytes.randrange(1, 400)).to_bytes(4, "big") + random_bytes.randbytes(n) for _ in range(40)),
        ]
        for stranger in strangers:
            reader, writer = await asyncio.open_unix_connection(find_meeting(tmp_path).socket)
            writer.write(stranger)
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 5)
            assert token.encode() not in answer
            writer.close()
        await asyncio.sleep(0.05)
        assert not fleet.links
        reading = asyncio.create_task(collect(fleet, "0x01"))
        worker = await hire(tmp_path)
        order = await take(worker, protocol.Fetch)
        worker.send(protocol.PageReady(order.errand, page(1, is_last=True)))
        assert await reading == [{"after": 1}]
        await worker.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        protocol.Ended(99),
        protocol.PageReady(99, page(1)),
        protocol.Acquire(1, "data", "no such route"),
        protocol.Acquire(1, "elsewhere", "activity"),
        protocol.Paused("data", "nothing", 1.0),
        protocol.Hello("again", 1, 1, 1),
        protocol.Welcome({}),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_a_worker_that_talks_nonsense_is_dropped(tmp_path: Path, nonsense: msgspec.Struct) -> None:
    async with leading(tmp_path) as fleet:
        reading = asyncio.create_task(collect(fleet, "0x01"))
        worker = await hire(tmp_path)
        await take(worker, protocol.Fetch)
        worker.send(nonsense)
        with pytest.raises(EOFError):
            await worker.receive(5)
        assert not fleet.links
        other = await hire(tmp_path)
        order = await take(other, protocol.Fetch)  # what it had under way is asked for again
        other.send(protocol.PageReady(order.errand, page(1, is_last=True)))
        assert await reading == [{"after": 1}]


async def test_wrong_versions_and_hands_are_told_why(tmp_path: Path) -> None:
    async with leading(tmp_path):
        token = find_meeting(tmp_path).token
        for hello, word in (
            (protocol.Hello(token, 99, 1, 1), "version 99"),
            (protocol.Hello(token, protocol.VERSION, 1, 0), "hands"),
            (protocol.Hello("é" * 10, protocol.VERSION, 1, 1), "token"),
        ):
            connection = await dial(tmp_path)
            connection.send(hello)
            assert word in (await take(connection, protocol.Refused)).reason
        meeting = find_meeting(tmp_path)
        with pytest.raises(RetryableError, match="refused"):
            await work(Meeting(meeting.socket, "0" * 64, meeting.pid), hands=1, stop=asyncio.Event())


async def test_a_page_in_the_hands_of_a_lost_worker_is_fetched_by_another(tmp_path: Path) -> None:
    async with leading(tmp_path) as fleet:
        reading = asyncio.create_task(collect(fleet, "0x01"))
        first = await hire(tmp_path, pid=1)
        order = await take(first, protocol.Fetch)
        assert (order.key, order.position) == ("0x01", {})
        first.send(protocol.PageReady(order.errand, page(1)))
        await take(first, protocol.More)
        second = await hire(tmp_path, pid=2)
        await first.close()
        order = await take(second, protocol.Fetch)
        assert order.position == {"after": 1}
        second.send(protocol.PageReady(order.errand, page(2, is_last=True)))
        assert await reading == [{"after": 1}, {"after": 2}]


async def test_a_wallet_held_up_by_another_one_moves_to_a_free_worker(tmp_path: Path) -> None:
    async with leading(tmp_path) as fleet:
        stuck = await hire(tmp_path, pid=1)
        readings = [asyncio.create_task(collect(fleet, key)) for key in ("0x01", "0x02")]
        order = await take(stuck, protocol.Fetch)
        stuck.send(protocol.PageReady(order.errand, page(1)))
        hanging = await take(stuck, protocol.Fetch)  # the other wallet's turn; its page never comes
        assert hanging.key == "0x02"
        free = await hire(tmp_path, pid=2)
        order = await take(free, protocol.Fetch)
        assert (order.key, order.position) == ("0x01", {"after": 1})
        free.send(protocol.PageReady(order.errand, page(2, is_last=True)))
        assert await readings[0] == [{"after": 1}, {"after": 2}]
        readings[1].cancel()
        await take(stuck, protocol.Drop)


async def test_a_thousand_pages_wait_their_turn(tmp_path: Path) -> None:
    async with leading(tmp_path) as fleet:
        big = asyncio.create_task(collect(fleet, "0xb16"))
        await asyncio.sleep(0)
        small = [asyncio.create_task(collect(fleet, f"0x0{number}")) for number in range(5)]
        worker = await hire(tmp_path)
        served: list[str] = []
        for number in range(11):
            order = await worker.receive(5)
            key = order.key if isinstance(order, protocol.Fetch) else "0xb16"
            served.append(key)
            errand = order.errand
            worker.send(protocol.PageReady(errand, page(number, is_last=key != "0xb16" or number == 10)))
        assert served[:6] == ["0xb16", "0x00", "0x01", "0x02", "0x03", "0x04"]
        await asyncio.gather(big, *small)


@pytest.mark.parametrize(
    "error",
    [
        RateLimitedError("slow", retry_after_seconds=3.5, hint="wait"),
        UpstreamUnavailableError("down", retry_after_seconds=1.0),
        CircuitOpenError("paused", hint="later"),
        UpstreamRefusedError("no", status=404),
        CursorRejectedError("stale", status=400),
        UpstreamContractError("odd"),
        RetryableError("later"),
        PolyhouseError("bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_arrive_as_what_they_are(error: PolyhouseError) -> None:
    wire = msgspec.msgpack.decode(msgspec.msgpack.encode(protocol.failed(1, error)), type=protocol.Failed)
    arrived = protocol.error_of(wire)
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.hint, vars(arrived)) == (str(error), error.hint, vars(error))


def test_pages_arrive_as_they_were() -> None:
    columns = {"tx": [bytes(range(32))], "shares": [-(2**63)], "order_hash": [b""], "amounts": [[2**64 - 1, 0]]}
    sent = Page(
        {"observations": columns},
        {"second": {"ts": 5, "seen": ["a"]}},
        is_last=False,
        fetched=3,
        rejected=[Reject("r", "w", "é\0")],
        ignored=1,
        notes={"late_labels": 2},
    )
    wire = msgspec.msgpack.decode(msgspec.msgpack.encode(protocol.PageReady(7, sent)), type=protocol.PageReady)
    assert wire.page == sent


async def test_a_dead_worker_leaves_its_places_in_the_window(tmp_path: Path) -> None:
    async with leading(tmp_path, limit=2) as fleet:
        first, second = await hire(tmp_path, pid=1), await hire(tmp_path, pid=2)
        for ticket in (1, 2, 3):
            first.send(protocol.Acquire(ticket, "data", "activity"))
        granted = [(await take(first, protocol.Granted)).ticket for _ in range(2)]
        assert granted == [1, 2]
        second.send(protocol.Acquire(1, "data", "activity"))
        await first.close()  # killed: its two requests may have been sent
        begun = asyncio.get_running_loop().time()
        assert (await take(second, protocol.Granted)).ticket == 1
        assert asyncio.get_running_loop().time() - begun >= 0.45  # one window (here half a second) later
        assert len(fleet.links) == 1


async def test_only_one_process_leads_a_home(tmp_path: Path) -> None:
    async with leading(tmp_path):
        with pytest.raises(RetryableError, match="leads the workers"), meeting_place(tmp_path):
            pass
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    with meeting_place(deep) as (_, meeting):
        assert len(meeting.socket) < 100
        assert find_meeting(deep) == meeting
    (tmp_path / "workers.json").write_text(json.dumps({"socket": "/nowhere", "token": "t", "pid": 1}))
    async with leading(tmp_path):  # a note that a killed process left is no obstacle
        pass


async def test_a_child_that_loses_its_owner_ends_with_code_3(tmp_path: Path) -> None:
    notes: list[str] = []
    clock = SystemClock()
    lanes = {"data": build_lanes(DATA, clock, 1.0, 10.0, 120.0)}
    async with lead(tmp_path, workers=1, lanes=lanes, urls={"data": NOBODY}, note=notes.append, clock=clock) as fleet:
        async with asyncio.timeout(30):
            await until(lambda: fleet.links)
            for link in list(fleet.links):
                await link.connection.close()  # what the kernel does when the owner is killed
            await until(lambda: notes)
            assert "ended with code 3" in notes[0]
            await until(lambda: fleet.links)
        pids = [link.pid for link in fleet.links]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_silent_owner_is_left_and_a_silent_worker_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyhouse.fleet.connection.SILENCE_SECONDS", 0.2)

    async def welcome_and_nothing_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        owner: Connection[Any] = Connection(reader, writer, protocol.FromWorker, protocol.MAX_FRAME_BYTES)
        await owner.receive(5)
        owner.send(protocol.Welcome({"data": NOBODY}))

    async with await asyncio.start_unix_server(welcome_and_nothing_more, tmp_path / "silent.sock"):
        with pytest.raises(RetryableError, match="is gone") as caught:
            meeting = Meeting(str(tmp_path / "silent.sock"), "any", 1)
            await asyncio.wait_for(work(meeting, hands=1, stop=asyncio.Event()), 5)
        assert caught.value.exit_code == 3
    async with leading(tmp_path) as fleet:
        worker = await hire(tmp_path)
        assert len(fleet.links) == 1
        with pytest.raises(EOFError):
            await worker.receive(5)
        assert not fleet.links


async def test_when_no_worker_stays_alive_the_run_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyhouse.fleet.children.MAX_FAILURES", 1)
    monkeypatch.setattr("polyhouse.fleet.children._LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("polyhouse.fleet.children.sys.executable", "/bin/false")
    notes: list[str] = []
    clock = SystemClock()
    lanes = {"data": build_lanes(DATA, clock, 1.0, 10.0, 120.0)}
    async with lead(tmp_path, workers=2, lanes=lanes, urls={"data": NOBODY}, note=notes.append, clock=clock) as fleet:
        by_hand = await hire(tmp_path)
        async with asyncio.timeout(20):
            await until(lambda: sum("not started again" in text for text in notes) == 2)
            reading = asyncio.create_task(collect(fleet, "0x01"))
            order = await take(by_hand, protocol.Fetch)  # one that came by itself goes on
            by_hand.send(protocol.PageReady(order.errand, page(1)))
            await take(by_hand, protocol.More)
            await by_hand.close()
            with pytest.raises(RetryableError, match="No worker process is left"):
                await reading
