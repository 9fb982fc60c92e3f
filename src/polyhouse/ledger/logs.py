"""Decoded chain logs under the name that the rules use; sources and rules share the types of ``domain.logs``."""

from polyhouse.domain.logs import (
    FULL_PARTITION,
    ZERO_HASH,
    ConditionResolution,
    DecodedLog,
    Emitter,
    FeeRefunded,
    FpmmBuy,
    FpmmFundingAdded,
    FpmmFundingRemoved,
    FpmmSell,
    Income,
    Migrated,
    OrderFilledV1,
    OrderFilledV2,
    OrdersMatched,
    PayoutRedemption,
    PositionChange,
    PositionsConverted,
    PositionsMerge,
    PositionSplit,
    Transfer,
)

__all__ = [
    "FULL_PARTITION", "ZERO_HASH", "ConditionResolution", "DecodedLog", "Emitter", "FeeRefunded", "FpmmBuy",
    "FpmmFundingAdded", "FpmmFundingRemoved", "FpmmSell", "Income", "Migrated", "OrderFilledV1", "OrderFilledV2",
    "OrdersMatched", "PayoutRedemption", "PositionChange", "PositionSplit", "PositionsConverted", "PositionsMerge",
    "Transfer",
]  # fmt: skip
