"""``polyhouse.open()``: typed rows, Arrow, polars, pandas, exact amounts, limits, freshness."""

import asyncio
import json
import subprocess
import sys
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal

import msgspec
import pyarrow as pa
import pytest

import polyhouse
from polyhouse.api import results, rows
from polyhouse.errors import BadInputError, StoreInUseError
from polyhouse.reads.relations.catalogue import SOURCES
from polyhouse.serve.schemas.documents import TABLES
from polyhouse.warehouse import open_warehouse
from polyhouse.warehouse.lock import holder

pytestmark = pytest.mark.timeout(300)  # the first one waits for the store


@pytest.fixture(scope="module")
def house(home):
    with polyhouse.open(home) as opened:
        yield opened


@pytest.fixture(scope="module")
def best(house):
    return house.leaderboard(min_units=1, min_gains_losses="0").rows()[0]


def test_a_program_loads_and_gets_the_report(home, house):
    report = json.loads((home / "report.json").read_text())
    assert report["status"] == "ok"
    assert report["counts"]["wallets_completed"] == house.status()["wallets"]["completed"] > 0


def test_a_leaderboard_is_typed_rows_and_frames(house):
    board = house.leaderboard(min_units=1, min_gains_losses="0", limit=5)
    first = board.rows()[0]
    assert isinstance(first, rows.BoardRow)
    assert first.rank == 1
    assert isinstance(first.position_pnl, Decimal)
    assert isinstance(first.last_trade_at, datetime)
    assert first.last_trade_at.tzinfo is not None
    assert board.arrow().num_rows == board.polars().height == len(board.pandas()) == len(board) == 5
    assert board.polars()["realized"][0] == board.pandas()["realized"][0] == first.realized


def test_a_wallet_and_its_tables_tell_the_same(house, best):
    page = house.wallet(best.wallet)
    assert page.totals.realized == best.realized
    assert page.totals.trades == house.trades(best.wallet).count() == len(house.trades(best.wallet).rows())
    assert page.totals.volume == sum(trade.volume for trade in house.trades(best.wallet).rows())
    assert page.totals.realized == sum(one.realized for one in house.positions(best.wallet).rows())
    assert {unit.result for unit in house.units(best.wallet).where(is_open=False).rows()} <= {"WIN", "LOSS", "FLAT"}
    assert house.equity(best.wallet).rows()[-1].realized_total == page.totals.realized
    assert page.as_of == datetime.fromisoformat(house.status()["as_of"])
    named = {metric.name: metric for metric in house.metrics(best.wallet).rows()}
    assert named["omega_net"].status in {"OK", "SMALL_SAMPLE", "UNDEFINED"}
    assert {part.category for part in page.categories} == {row.category for row in house.units(best.wallet).rows()}


def test_fills_are_those_that_the_canonical_view_shows(house):
    ours = house.trades().columns("wallet", "tx_hash", "shares", "volume", "condition_id").arrow().to_pylist()
    view = house.table("vw_trades_canonical").where(side=["BUY", "SELL"])
    theirs = view.columns("wallet", "tx_hash", "shares", "volume", "condition_id").arrow().to_pylist()
    assert sorted(map(str, ours)) == sorted(map(str, theirs))


def test_amounts_are_exact_in_both_forms(house):
    exact = house.trades().ordered().arrow()
    whole = house.trades().ordered().micros().arrow()
    assert exact.schema.field("cash").type == pa.decimal128(38, 6)
    assert exact.schema.field("cash").metadata == {b"unit": b"USDC"}
    assert whole.schema.field("shares_micros").metadata == {b"unit": b"millionth of shares"}
    for name in ("shares", "cash", "fee", "volume"):
        back = [Decimal(value).scaleb(-6) for value in whole[f"{name}_micros"].to_pylist()]
        assert back == exact[name].to_pylist()
    assert min(exact["cash"].to_pylist()) < 0


def test_an_unknown_amount_stays_unknown_in_micro_units(house):
    named = "SELECT CAST(NULL AS Nullable(Decimal(38, 6))) AS a UNION ALL SELECT toDecimal128('-0.000001', 6)"
    assert sorted(house.sql(named).micros().arrow()["a_micros"].to_pylist(), key=str) == [-1, None]
    with pytest.raises(OverflowError):
        house.sql("SELECT toDecimal128('10000000000000', 6) AS a").micros().arrow()


def test_every_table_answers_in_its_declared_form(house):
    for name in house.tables():
        asked = house.table(name)
        table = asked.arrow()
        table.validate(full=True)
        assert table.schema == asked.schema()
        assert asked.count() == table.num_rows
        assert not any(pa.types.is_binary(field.type) for field in table.schema), name
        assert table.schema.metadata[b"polyhouse.as_of"].endswith(b"Z")


@pytest.mark.parametrize(("row", "table"), [(rows.Trade, "trades"), (rows.Position, "positions"), (rows.Unit, "units")])
def test_typed_rows_name_the_columns_of_their_table(house, row, table):
    assert list(row.__struct_fields__) == house.table(table).schema().names


@pytest.mark.parametrize(
    ("row", "name"),
    [(rows.BoardRow, "leaderboard"), (rows.SpecialistRow, "specialists"), (rows.Day, "wallet_days"),
     (rows.MetricValue, "wallet_metrics")],
)  # fmt: skip
def test_typed_rows_name_the_fields_of_their_document(row, name):
    declared = {field.name: field.nullable for field in TABLES[name].fields}
    assert set(row.__struct_fields__) == set(declared)
    for field in msgspec.structs.fields(row):
        takes_none = "None" in str(field.type) or "Any" in str(field.type)
        assert takes_none == declared[field.name], field.name


def test_questions_are_narrowed_by_columns_conditions_and_time(house, best):
    mine = house.trades(best.wallet)
    all_of_them = mine.rows()
    some = mine.where("volume >= 10", side="BUY").rows()
    assert some == [one for one in all_of_them if one.volume >= 10 and one.side == "BUY"] or sorted(
        map(str, some)
    ) == sorted(str(one) for one in all_of_them if one.volume >= 10 and one.side == "BUY")
    middle = sorted(one.ts for one in all_of_them)[len(all_of_them) // 2]
    assert mine.since(middle).count() + mine.until(middle).count() == len(all_of_them)
    assert mine.since(date(2015, 1, 1)).count() == len(all_of_them)
    assert mine.columns("volume", "ts").limit(1).arrow().schema.names == ["volume", "ts"]
    assert house.trades([best.wallet, "0x" + "00" * 20]).count() == len(all_of_them)
    assert mine.where(role=None).count() + mine.where("role IS NOT NULL").count() == len(all_of_them)
    assert mine.where(volume=all_of_them[0].volume, tx_hash=all_of_them[0].tx_hash).count() >= 1
    assert house.trades([]).count() == 0


def test_a_question_about_one_wallet_reads_that_wallet_only(house, best):
    from polyhouse.reads.relations.question import Question
    from polyhouse.reads.relations.statement import statement_of

    def plan(stores):
        made = statement_of(stores.warehouse, Question(table="positions", where={"wallet": best.wallet}))
        settings = ", ".join(f"{name} = {value}" for name, value in made.settings.items())
        lines = stores.warehouse.query(f"EXPLAIN indexes = 1 {made.sql} SETTINGS {settings}").rows
        return "\n".join(str(line) for (line,) in lines)

    assert "PrimaryKey" in house.connection.use(plan)


@pytest.mark.parametrize(
    ("ask", "word"),
    [
        (lambda ph: ph.table("positons").arrow(), "'positions'"),
        (lambda ph: ph.trades().columns("volum").arrow(), "'volume'"),
        (lambda ph: ph.trades().where(sid="BUY").arrow(), "'side'"),
        (lambda ph: ph.trades("0x12").arrow(), "40 hex digits"),
        (lambda ph: ph.trades(since="yesterday").arrow(), "ISO 8601"),
        (lambda ph: ph.table("totals").since("2026-01-01").arrow(), "has no time"),
        (lambda ph: ph.trades().where(volume="much").arrow(), "number"),
        (lambda ph: ph.trades().where("volume > file('/etc/passwd')").arrow(), "file"),
        (lambda ph: ph.trades().where("1 SETTINGS readonly = 0").arrow(), "SETTINGS"),
        (lambda ph: ph.trades().where("nonsense > 1").arrow(), "nonsense"),
        (lambda ph: ph.sql("DROP TABLE ledger").arrow(), "SELECT"),
        (lambda ph: ph.sql("SELECT * FROM url('http://127.0.0.1/')").arrow(), "url"),
        (lambda ph: ph.trades(since=datetime(2026, 1, 1)), "time zone"),  # noqa: DTZ001 - that is the mistake
        (lambda ph: ph.leaderboard(sort="omga"), "omga"),
        (lambda ph: ph.wallet("0x" + "09" * 20), "never seen"),
    ],
)
def test_what_cannot_be_is_refused_in_words(house, ask, word):
    with pytest.raises(BadInputError, match=word):
        ask(house)


def test_more_rows_than_go_into_memory_are_refused(house, monkeypatch):
    monkeypatch.setattr(results, "MOST_ROWS", 100)
    with pytest.raises(BadInputError, match="100 rows") as refused:
        house.trades().arrow()
    assert "iter_arrow" in refused.value.hint
    assert house.trades().limit(200).arrow().num_rows == 200
    assert sum(batch.num_rows for batch in house.trades().iter_arrow()) == house.trades().count() > 200


def test_ordered_rows_come_the_same_way_every_time(house):
    first, second = house.trades().ordered().arrow(), house.trades().ordered().arrow()
    assert first.equals(second)
    keys = [(row["wallet"], row["ts"]) for row in first.select(["wallet", "ts"]).to_pylist()]
    assert keys == sorted(keys)


def test_notebooks_see_counts_and_freshness(house, best):
    as_of = house.status()["as_of"]
    shown = house.trades()._repr_html_()
    assert f"{house.trades().count():,} rows, data to {as_of}" in shown
    assert shown.count("<tr>") == 11
    assert as_of in house.leaderboard(min_units=1)._repr_html_()
    assert best.wallet in house.wallet(best.wallet)._repr_html_()
    assert "&lt;b&gt;" in house.sql("SELECT '<b>' AS a")._repr_html_()


def test_plain_questions_work_inside_a_running_loop(house, best):
    async def cell():
        return house.wallet(best.wallet).totals.trades, house.trades(best.wallet).count()

    trades, counted = asyncio.run(cell())
    assert trades == counted


def test_the_public_names_are_these(house):
    assert polyhouse.__all__ == ["AsyncPolyhouse", "Polyhouse", "__version__", "open", "open_async"]
    assert all(hasattr(polyhouse, name) for name in polyhouse.__all__)
    assert "trades" in house.tables()
    with pytest.raises(AttributeError):
        polyhouse.leaderboard  # noqa: B018
    assert all(source.about for source in SOURCES.values())
    assert {field.name for field in fields(results.Query)} >= {"question"}


def test_importing_the_package_loads_nothing_of_it():
    code = "import sys, polyhouse; print(sorted(name for name in sys.modules if name.startswith('polyhouse')))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert made.stdout.strip() == "['polyhouse']"


def test_while_it_is_open_nobody_else_has_the_store_and_closing_gives_it_free(home, house):
    house.status()
    assert holder(f"chdb://{home / 'warehouse'}") is not None
    house.close()
    assert holder(f"chdb://{home / 'warehouse'}") is None
    with pytest.raises(BadInputError, match="closed"):
        house.status()
    with polyhouse.open(home) as again:
        assert again.trades().count() > 0
    assert StoreInUseError.exit_code == 5


def test_an_answer_that_is_not_read_to_its_end_gives_the_store_back(home, monkeypatch, tmp_path):
    monkeypatch.setattr(results, "MOST_ROWS", 100)
    with polyhouse.open(home) as opened, pytest.raises(BadInputError, match="100 rows") as refused:
        opened.trades().arrow()
    with open_warehouse(f"chdb://{tmp_path}/warehouse"):  # one process has one embedded store open
        assert refused.value.__traceback__ is not None, "who keeps the error keeps what failed"
