"""Discovery finds exactly who the universe shows, and a second one changes nothing."""

from __future__ import annotations

import pytest

from polyhouse.domain.contracts import NEG_RISK_BURN
from polyhouse.errors import BadInputError, ConfigError
from polyhouse.sim.faults import Fault
from polyhouse.sim.world import Quirks
from polyhouse.sync.report import WalletSelection


def records(session):
    """Everything the registry knows but when a wallet was last seen and when its row was last written."""
    moving = {"last_seen", "updated_at"}
    rows = {}
    for address in session.state.wallet_addresses():
        record = session.state.wallet(address)
        rows[address] = {name: getattr(record, name) for name in record.__slots__ if name not in moving}
    return rows


def ledgers(session):
    return {one.partition: (one.position, one.status, one.pages) for one in session.state.checkpoints("data.activity")}


async def test_each_source_finds_exactly_whom_it_shows(lab):
    async with lab.session() as session:
        report, found = await session.discover("holders")
        assert (report.status, report.exit_code) == ("ok", 0)
        holders = lab.holders()
        assert set(session.registry()) == holders
        assert len(holders) > 10
        assert found.sources == {"holders": {"seen": len(holders), "new": len(holders), "known": 0, "rejected": 0}}
        assert all(words == ("holders",) for words in session.registry().values())

        _, found = await session.discover("leaderboard")
        ranked = lab.ranked()
        assert set(session.registry()) == holders | ranked
        assert found.sources["leaderboard"]["seen"] == len(ranked)
        assert found.sources["leaderboard"]["new"] == len(ranked - holders)
        assert found.sources["leaderboard"]["known"] == len(ranked & holders)

        _, found = await session.discover("trades")
        traders = lab.traders()
        assert set(session.registry()) == holders | ranked | traders
        assert found.sources["trades"]["seen"] == len(traders)
        wallet = min(holders & ranked & traders)
        assert set(session.registry()[wallet]) == {"holders", "leaderboard", "trades"}
        assert session.state.wallet_counts()["pending"] == len(session.registry())


async def test_a_second_discovery_changes_nothing(lab):
    async with lab.session() as session:
        report, found = await session.discover()
        everyone = lab.holders() | lab.traders() | lab.ranked()
        assert report.status == "ok"
        assert set(session.registry()) == everyone
        assert found.totals == {"seen": len(everyone), "new": len(everyone), "known": 0}
        assert sum(figures["new"] for figures in found.sources.values()) == len(everyone)
        assert set(found.sources) == {"holders", "trades", "leaderboard", "ledger"}

        await session.engine.sync_wallets(WalletSelection(only_pending=True, max_wallets=5))
        failed = session.state.wallet_addresses("pending")[0]
        session.state.mark_failed(failed, "the upstream broke")
        before, cursors = records(session), ledgers(session)
        assert {row["status"] for row in before.values()} >= {"pending", "completed", "failed"}

        session.clock.later = 3_600
        report, found = await session.discover()
        assert report.status == "ok"
        assert found.totals == {"seen": len(everyone), "new": 0, "known": len(everyone)}
        assert all(figures["new"] == 0 for figures in found.sources.values())
        assert records(session) == before
        assert ledgers(session) == cursors
        assert session.state.wallet(failed).last_seen == int(session.clock.time())
        assert session.state.wallet(failed).first_seen == int(session.clock.time()) - 3_600


async def test_an_empty_wallet_is_queued_once_something_is_seen_of_it(lab):
    trader, nobody = bytes.fromhex(min(lab.traders())[2:]), bytes([0x99]) * 20
    async with lab.session() as session:
        session.state.register_wallets([trader, nobody], "file")
        session.state.mark_empty([trader, nobody])
        report, _ = await session.discover("leaderboard")
        assert session.state.wallet(trader).status == "empty"
        assert "wallets_no_longer_empty" not in {name for name, count in report.counts.items() if count}
        report, _ = await session.discover("trades")
        assert session.state.wallet(trader).status == "pending"
        assert session.state.wallet(nobody).status == "empty"
        assert report.counts["wallets_no_longer_empty"] == 1


async def test_the_ledger_itself_names_wallets(lab):
    traders = lab.traders()
    wallets = [bytes.fromhex(text[2:]) for text in sorted(traders)]
    columns = {
        "wallet": wallets, "source": ["dump"] * len(wallets), "kind": ["BUY"] * len(wallets),
        "ts": [1_780_000_000] * len(wallets),
    }  # fmt: skip
    async with lab.session() as session:
        session.warehouse.write("observations", columns, run=1, token="dump")
        session.state.register_wallets(wallets[:3], "user")
        _, plan = await session.discover("ledger", dry_run=True)
        assert plan.sources["ledger"] == {"seen": len(wallets), "new": len(wallets) - 3, "known": 3, "rejected": 0}
        assert len(session.registry()) == 3
        _, found = await session.discover("ledger")
        assert found.sources == plan.sources
        assert set(session.registry()) == traders
        assert session.state.wallet(wallets[0]).provenance == ("user",)
        assert session.state.wallet(wallets[5]).provenance == ("ledger",)


async def test_a_failing_page_is_named_and_read_the_next_time_and_contracts_are_no_wallets(make_lab):
    async with make_lab(Quirks(burn_holder=True)) as lab, lab.session(page_limit=2) as session:
        lab.server.faults.set([Fault("data/v2/holders", "status", status=500, after=1)])
        report, found = await session.discover("holders")
        assert (report.status, report.exit_code) == ("partial", 1)
        [error] = report.errors
        assert error.startswith("data.holders [")
        assert "500" in error
        seen = set(session.registry())
        assert set() < seen < lab.holders()
        assert found.sources["holders"]["new"] == len(seen)
        assert found.sources["holders"]["rejected"] == 1
        [checkpoint] = session.state.checkpoints("data.holders", "failed")
        assert "#7" in checkpoint.partition

        lab.server.faults.set([])
        report, _ = await session.discover("holders")
        assert report.status == "ok"
        assert set(session.registry()) == lab.holders()
        assert not session.state.checkpoints("data.holders", "failed")
        burn = {"w": "0x" + NEG_RISK_BURN.hex()}
        rows = session.warehouse.query("SELECT count() FROM vw_reported_holders WHERE wallet = {w:String}", burn).rows
        assert rows[0][0] > 0


async def test_an_interrupted_pass_goes_on_and_a_complete_one_begins_anew(lab):
    boards = 92 + 48
    async with lab.session(concurrency=4) as session:
        done = 0

        def stop() -> None:
            nonlocal done
            done += 1
            if done == 30:
                session.engine.stop.set()

        session.reporter.on_advance = stop
        report, _ = await session.discover("leaderboard")
        assert (report.status, report.exit_code) == ("interrupted", 130)
        asked = lab.requests["data/v2/leaderboard"]
        assert 30 <= asked < 92

        session.engine.stop.clear()
        report, found = await session.discover("leaderboard")
        assert report.status == "ok"
        assert report.counts["lists_read_before"] >= 30
        total = lab.requests["data/v2/leaderboard"] + lab.requests["data/v2/biggest-winners"]
        assert total <= boards + 4
        assert set(session.registry()) == lab.ranked()
        report, found = await session.discover("leaderboard")
        assert "lists_read_before" not in report.counts
        assert lab.requests["data/v2/leaderboard"] + lab.requests["data/v2/biggest-winners"] == total + boards
        assert found.sources["leaderboard"] == {
            "seen": len(lab.ranked()),
            "new": 0,
            "known": len(lab.ranked()),
            "rejected": 0,
        }


async def test_a_dry_run_changes_nothing_and_impossible_requests_are_refused(lab, tmp_path):
    async with lab.session() as session:
        await session.engine.sync_markets()
        asked = sum(lab.requests.values())
        report, found = await session.discover(dry_run=True)
        assert report.plan.partitions >= 140 + 1
        assert report.plan.requests >= report.plan.partitions
        assert set(found.sources) == {"ledger"}
        report, _ = await session.discover("file")
        assert (report.status, report.exit_code) == ("failed", 2)
        report, _ = await session.discover("users")
        assert (report.exit_code, report.error_code) == (2, ConfigError.code)
        with pytest.raises(BadInputError, match="telepathy"):
            await session.discover("telepathy", dry_run=True)
        report, _ = await session.discover(file=tmp_path / "missing.csv")
        assert report.exit_code == 2
        assert "missing.csv" in report.errors[0]
        assert sum(lab.requests.values()) == asked
        assert not session.registry()
