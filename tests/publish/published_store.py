"""Rows of wallets made by hand, as readings and builds leave them."""

from __future__ import annotations

from polyhouse.models.metric_tables import prepare_metric_tables

FIRST, SECOND, THIRD = ("0x" + bytes([number]).hex() * 20 for number in (1, 2, 3))
SEEN = 1_780_000_000


def registered(*numbers, seen=SEEN, error="it said \"no, never\"\n\\ and 'so'"):
    """Registry rows; some of the texts need quoting."""
    count = len(numbers)
    values = {
        "wallet": [bytes([number]) * 20 for number in numbers], "status": ["completed"] * count,
        "provenance": [["holders", 'a "b", \\c']] * count, "first_seen": [SEEN] * count, "last_seen": [seen] * count,
        "last_error": [error] * count, "updated_at": [seen] * count,
    }  # fmt: skip
    return {"wallet_registry": values}


def load(warehouse, tables):
    for name, columns in tables.items():
        warehouse.write(name, columns, run=1, token="by hand")


def build_by_hand(warehouse):
    """What a build would write of two wallets with one closed unit each."""
    prepare_metric_tables(warehouse)
    for number, gains, losses in ((1, 60, 0), (2, 0, 40)):
        wallet = f"unhex(repeat('0{number}', 20)) AS wallet"
        for category in ("overall", "other"):
            warehouse.command(
                "INSERT INTO wallet_totals (wallet, category, window, realized, unrealized, volume, trades, markets,"
                f" wins, losses, gains, losses_abs, bought_cost, version) SELECT {wallet}, '{category}', 'lifetime',"
                f" {gains - losses} * 1000000, 0, 40000000, 1, 1, {gains > 0}, {losses > 0}, {gains} * 1000000,"
                f" {losses} * 1000000, 40000000, 1000"
            )
        warehouse.command(
            "INSERT INTO wallet_scores_v1 (wallet, whale_tenths, insider_tenths, version)"
            f" SELECT {wallet}, 15, NULL, 1000"
        )
    warehouse.command(
        "INSERT INTO wallet_metrics_complete (wallet, window, trend, omega_slope_30d, version)"
        " SELECT unhex(repeat('01', 20)), 'lifetime', 'up', 0.25, 1000"
    )
