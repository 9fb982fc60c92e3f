"""The rows of trades, purchases and sales, and the aggregates that their metrics share (docs/entries.md).

``side`` is 1 for a purchase and −1 for a sale, so that (price − reference)·side is what a trade cost.
"""

from __future__ import annotations

from polyhouse.metrics.metric import Relation

RELATION = Relation(
    "fills",
    "one trade: what a wallet bought or sold of one outcome in one transaction",
    parts={
        "is_maker": "role = 'MAKER'",
        "is_taker": "role = 'TAKER'",
        "maker_fills": "sumIf(fills, is_maker)",
        "taker_fills": "sumIf(fills, is_taker)",
        "maker_volume": "sumIf(toInt128(volume), is_maker)",
        "taker_volume": "sumIf(toInt128(volume), is_taker)",
        "is_slipping": "is_taker AND has_before",
        "slipped": "sumIf(toInt128(shares) * (quote - before) * side, is_slipping)",
        "slipped_outcomes": "uniqExactIf(token_hash, is_slipping)",
        "is_moving": "is_taker AND has_before AND has_after",
        "moved": "toInt128(sumIf((after_5m - before) * side, is_moving))",
        "moving_volume": "sumIf(toInt128(volume), is_moving)",
        "is_exposed": "is_maker AND has_after",
        "exposed": "countIf(is_exposed)",
        # x signed volume, y move of the price on that day.
        "moves": "toInt256(countIf(has_move))",
        "move_x": "toInt256(sumIf(toInt128(volume) * side, has_move))",
        "move_y": "toInt256(sumIf(toInt128(day_move), has_move))",
        "move_xx": "toInt256(sumIf(toInt128(volume) * volume, has_move))",
        "move_yy": "toInt256(sumIf(toInt128(day_move) * day_move, has_move))",
        "move_xy": "toInt256(sumIf(toInt128(volume) * side * day_move, has_move))",
        "spread_x": "moves * move_xx - move_x * move_x",
        "spread_y": "moves * move_yy - move_y * move_y",
    },
)
"""Columns of the rows: models/fills.sql."""
