"""A full build of all models against a plain GROUP BY wallet, token over the same rows in the same engine and run."""

from __future__ import annotations

import tempfile

from benchmarks.measure import in_fresh_process, measured

_TOKEN = "reverse(toFixedString(reinterpretAsString(toUInt256(1000000 + {})), 32))"


def run(fills: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the floor."""
    return in_fresh_process(_rebuild, fills)


def _rebuild(fills: int) -> list[tuple[str, str, str]]:
    from polyhouse.models.runner import build
    from polyhouse.warehouse import open_warehouse

    with tempfile.TemporaryDirectory() as folder, open_warehouse(f"chdb://{folder}/warehouse") as warehouse:
        _fill(warehouse, fills)
        with measured() as full:
            report = build(warehouse)
        with measured() as floor:
            warehouse.query(
                "SELECT count(), sum(s), sum(u) FROM (SELECT wallet, token, sum(ds) AS s, sum(du) AS u FROM ledger"
                " GROUP BY wallet, token)"
            )
        touched = [
            bytes(wallet)
            for (wallet,) in warehouse.query(
                "SELECT wallet FROM wallet_coverage WHERE cityHash64(wallet) % 100 = 0"
            ).rows
        ]
        with measured() as partial:
            build(warehouse, touched)
        disk = warehouse.query(
            "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'observations'"
        ).rows[0][0]
    return [
        (f"full build of {fills:,} fills", f"{full.wall:.1f} s, {full.cpu / fills * 1e6:.1f} µs CPU a fill",
         f"{full.wall / floor.wall:.0f} × the GROUP BY ({floor.wall:.2f} s)"),
        ("  peak memory", f"{full.peak_mb:.0f} MB", ""),
        (f"  1 % of the wallets touched ({report.rows['wallet_coverage'] // 100:,})", f"{partial.wall:.1f} s",
         f"{partial.wall / full.wall:.1%} of a full build"),
        ("  disk", f"{disk / fills:.0f} bytes a fill in the observations", ""),
    ]  # fmt: skip


def _fill(warehouse, fills: int) -> None:
    """A hundred fills a wallet, both wallets and tokens on a power law; two fifths sales, four fifths resolved."""
    conditions = fills // 400 + 10
    token = _TOKEN.format("number")
    warehouse.command(
        f"INSERT INTO tokens (token, condition, outcome, verified, source, version) SELECT {token},"
        " unhex(leftPad(hex(intDiv(number, 2) + 7), 64, '0')), number % 2, true, 'gamma', 1"
        f" FROM numbers({2 * conditions})"
    )
    warehouse.command(
        "INSERT INTO resolutions (condition, source, ts, numerators, version) SELECT"
        " unhex(leftPad(hex(number + 7), 64, '0')), 'data', 1790000000, [1, 0], 1"
        f" FROM numbers({conditions}) WHERE number % 10 < 8"
    )
    chosen = _TOKEN.format(f"rand(2) % toUInt32(1 + pow({2 * conditions}, rand(5) / 4294967295.0))")
    warehouse.command(
        "INSERT INTO observations (wallet, token, tx, source, kind, ts, pos, shares, cash, shares_gross, usdc_gross,"
        " price_e12, version) SELECT"
        f" toFixedString(SHA1(toString(toUInt32(pow({fills / 100}, rand(1) / 4294967295.0)))), 20), {chosen},"
        " toFixedString(SHA256(toString(number)), 32), 'activity', if(rand(3) % 5 < 2, 'SELL', 'BUY'),"
        f" 1760000000 + intDiv(number * 30000000, {fills}), 1, 1000000 + rand(4) % 100000000 AS s,"
        " toInt64(s * (rand(6) % 1000000) / 1000000) AS c, s, c, toInt64(c * 1000000000000 / s), 1"
        f" FROM numbers({fills})"
    )
