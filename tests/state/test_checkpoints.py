"""Checkpoints move with their pages, all or none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from polyhouse.errors import PolyhouseError
from polyhouse.ports import Checkpoint, PageCommit, Reject
from polyhouse.state import open_state


def page(partition="p", position=None, is_last=False, rows=10, rejected=()):
    return PageCommit("s", partition, position or {"page": 1}, is_last, rows, rejected)


def test_a_partition_that_was_never_read_has_none(state):
    assert state.checkpoint("s", "p") is None
    assert state.checkpoints() == []


def test_pages_add_up_and_the_last_position_stays(state, clock):
    state.commit_pages(1, [page(position={"page": 1}), page("q", is_last=True, rows=0), page(position={"page": 2})])
    assert state.checkpoint("s", "p") == Checkpoint(
        "s", "p", {"page": 2}, "partial", pages=2, rows=20, updated_at=clock.now
    )
    assert state.checkpoint("s", "q").status == "empty"
    clock.now += 5
    state.commit_pages(2, [page(position={"page": 2, "cursor": "ü"}, is_last=True, rows=0)])
    assert state.checkpoint("s", "p") == Checkpoint(
        "s", "p", {"page": 2, "cursor": "ü"}, "ok", pages=3, rows=20, updated_at=clock.now
    )


def test_a_partition_is_in_doubt_until_its_next_page_is_committed(state):
    state.commit_pages(1, [page(is_last=True), page("q", is_last=True)])
    state.doubt({("s", "p"), ("s", "never read")})
    assert [one.is_doubtful for one in state.checkpoints()] == [True, False]
    state.fail_partition(2, "s", "p", "refused")
    assert state.checkpoint("s", "p").is_doubtful
    state.commit_pages(2, [page()])
    assert not state.checkpoint("s", "p").is_doubtful
    state.restore_checkpoint(Checkpoint("s", "p", {}, "partial", is_doubtful=True))
    assert state.checkpoint("s", "p").is_doubtful


@pytest.mark.parametrize(
    ("pages", "status"),
    [
        ([page(is_last=True)], "ok"),
        ([page(is_last=True, rows=0)], "empty"),
        ([page(is_last=True, rows=0, rejected=[Reject("r", "w", "x")])], "ok"),
        ([page(), page(is_last=True, rows=0)], "ok"),
        ([page(is_last=True), page()], "partial"),
        ([], None),
    ],
)
def test_only_a_proven_end_is_ok_or_empty(state, pages, status):
    state.commit_pages(1, pages)
    checkpoint = state.checkpoint("s", "p")
    assert (checkpoint.status if checkpoint else None) == status


def test_an_empty_partition_stays_empty_until_a_row_comes(state):
    state.commit_pages(1, [page(is_last=True, rows=0)])
    state.commit_pages(2, [page(is_last=True, rows=0)])
    assert state.checkpoint("s", "p").status == "empty"
    state.commit_pages(3, [page(is_last=True, rows=1)])
    state.commit_pages(4, [page(is_last=True, rows=0)])
    assert state.checkpoint("s", "p").status == "ok"


def test_a_failure_keeps_the_position_and_a_success_clears_it(state):
    state.fail_partition(1, "s", "new", "no \ud800\0 luck")
    assert state.checkpoint("s", "new") == Checkpoint(
        "s", "new", {}, "failed", updated_at=1_800_000_000, error="no \\ud800\\0 luck"
    )
    state.commit_pages(1, [page(position={"page": 3})])
    state.fail_partition(2, "s", "p", "no luck")
    failed = state.checkpoint("s", "p")
    assert (failed.position, failed.status, failed.error, failed.rows) == ({"page": 3}, "failed", "no luck", 10)
    state.commit_pages(3, [page(position={"page": 4}, is_last=True)])
    done = state.checkpoint("s", "p")
    assert (done.position, done.status, done.error, done.rows) == ({"page": 4}, "ok", "", 20)


FULL = {
    "sqlite": ["CREATE TRIGGER full_disk BEFORE INSERT ON quarantine BEGIN SELECT RAISE(ABORT, 'disk full'); END"],
    "postgresql": [
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON quarantine FOR EACH ROW EXECUTE FUNCTION fail()",
    ],
}


def test_a_commit_is_all_or_nothing(state):
    state.commit_pages(1, [page(position={"page": 1})])
    with state._engine.begin() as direct:
        for statement in FULL[state._engine.dialect.name]:
            direct.exec_driver_sql(statement)
    with pytest.raises(PolyhouseError, match="disk full"):
        state.commit_pages(2, [page(position={"page": 2}), page("q", rejected=[Reject("r", "w", "raw")])])
    assert state.checkpoint("s", "p").position == {"page": 1}
    assert state.checkpoint("s", "q") is None
    with pytest.raises(ValueError, match="JSON"):
        state.commit_pages(2, [page(position={"page": 2}), page("q", position={"x": float("nan")})])
    assert state.checkpoint("s", "p").position == {"page": 1}


def test_identical_rejects_are_counted_not_repeated(state, clock):
    ugly = Reject("bad_price", "row 3", '{"price": "\udc00\x00"}')
    state.commit_pages(1, [page(rejected=[ugly, ugly]), page("q", rejected=[ugly])])
    clock.now += 60
    state.commit_pages(2, [page(rejected=[ugly, Reject("bad_time", "row 4", "{}")])])
    assert state.quarantine_counts() == {"bad_price": 2, "bad_time": 1}
    [first, _] = sorted(state.quarantined(reason="bad_price"), key=lambda row: row.partition)
    assert (first.stream, first.partition, first.where, first.run, first.count) == ("s", "p", "row 3", 2, 3)
    assert first.last_seen - first.first_seen == 60
    assert state.checkpoint("s", "p").rejected == 4
    assert len(state.quarantined(limit=1)) == 1


def test_rebuilding_and_forgetting(state, clock):
    lost = [Checkpoint("s", f"p{n}", {"n": n}, "ok", 1, 2, 3, 4, "") for n in range(3)]
    assert state.restore_checkpoints(lost) == 3
    assert state.checkpoints("s", "ok") == lost
    state.restore_checkpoint(Checkpoint("s", "p1", {}, "partial"))
    assert state.checkpoint("s", "p1") == Checkpoint("s", "p1", {}, "partial", updated_at=clock.now)
    assert state.checkpoint_counts() == {"s": {"ok": 2, "partial": 1}}
    assert state.checkpoints("other") == []
    assert state.forget_checkpoints("s", "p0") == 1
    assert state.forget_checkpoints("s") == 2
    assert state.checkpoints() == []


def test_two_stores_and_many_threads_on_one_file(state, state_url):
    with open_state(state_url) as other, ThreadPoolExecutor(8) as pool:
        stores = [state, other]
        for future in [pool.submit(stores[n % 2].commit_pages, 1, [page()]) for n in range(60)]:
            future.result()
        assert other.checkpoint("s", "p").pages == 60
