"""Lists that the upstream does not give to their end: found, counted, covered and reported."""

from __future__ import annotations

from polyhouse.sim.faults import Fault
from polyhouse.sim.world import Quirks


def lengths(lab):
    """(token, holders) of every list of an open market."""
    world = lab.server.world
    return {
        market.meta.token_ids[outcome]: len(world.views.holders(market.number, outcome, 1))
        for market in world.visible_markets()
        if market.resolution is None
        for outcome in (0, 1)
    }


async def test_a_wall_is_reported_and_covered_by_positions(make_lab):
    async with make_lab(Quirks(wall=4)) as lab, lab.session(page_limit=2) as session:
        cut = {token: length for token, length in lengths(lab).items() if length > 4}
        assert cut
        lab.server.faults.set([Fault("data/v2/positions", "status", status=500)])
        report, found = await session.discover("holders")
        assert report.status == "partial"
        assert all("were not read" in clamp.covered_by for clamp in found.clamps)
        assert any(error.startswith("data.market-positions [0x") for error in report.errors)

        lab.server.faults.set([])
        report, found = await session.discover("holders")
        assert (report.status, report.exit_code) == ("partial", 1)
        named = {clamp.what.split()[3]: clamp for clamp in found.clamps}
        assert set(cut) <= set(named)
        for token, length in cut.items():
            assert named[token].rows == 4
            assert named[token].found_otherwise <= length - 4
            assert any(token in error and "ends at 4" in error for error in report.errors)
        assert report.counts["lists_cut"] == len(named)
        assert set(session.registry()) == lab.holders()


async def test_a_list_that_ends_without_a_word_is_noticed(make_lab):
    async with make_lab(Quirks(holders_end=3)) as lab, lab.session(page_limit=3) as session:
        longer = {token for token, length in lengths(lab).items() if length > 3}
        exact = {token for token, length in lengths(lab).items() if length == 3}
        assert longer
        report, found = await session.discover("holders")
        assert report.status == "partial"
        named = {clamp.what.split()[3] for clamp in found.clamps}
        assert named <= longer
        assert named
        assert report.counts.get("lists_full_and_whole", 0) + len(named) == len(longer | exact)
        assert set(session.registry()) == lab.holders()


async def test_a_list_that_is_just_full_is_not_called_cut(make_lab):
    async with make_lab() as lab:
        longest = max(lengths(lab).values())
        async with lab.session(page_limit=longest) as session:
            report, found = await session.discover("holders")
            assert (report.status, found.clamps) == ("ok", [])
            assert report.counts["lists_full_and_whole"] >= 1


async def test_the_wall_of_a_board_is_reported_and_no_failure(make_lab):
    async with make_lab(Quirks(wall=10)) as lab, lab.session(page_limit=5) as session:
        report, found = await session.discover("leaderboard")
        assert (report.status, report.errors) == ("ok", [])
        clamps = {clamp.what: clamp.rows for clamp in found.clamps}
        assert clamps["data.leaderboard [all/overall/PNL]"] == 10
        assert any("all/overall/PNL" in note and "10 rows" in note for note in session.reporter.notes)
        rows = session.warehouse.query(
            "SELECT count(), uniqExact(wallet), min(rank), max(rank) FROM vw_reported_standings"
            " WHERE period = 'all' AND category = 'overall' AND board = 'PNL'"
        ).rows[0]
        assert rows == (10, 10, 1, 10)
