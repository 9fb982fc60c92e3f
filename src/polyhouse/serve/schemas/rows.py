"""Rows and parts of documents (contract; accounting.md §3.5 for the names of totals)."""

from __future__ import annotations

from polyhouse.metrics.catalogue import BY_NAME
from polyhouse.serve.schemas.fields import Field, maybe

WALLET = Field("wallet", "address", "address of the wallet")
CATEGORY = Field("category", "word", "one of the categories, or overall")

TOTALS = (
    Field("realized", "money", "realised PnL, USDC"),
    Field("unrealized", "money", "PnL of open positions at their marks; null while one has no mark", nullable=True),
    Field("unrealized_marked", "money", "the same over positions that have a mark"),
    Field("unmarked", "count", "open positions without a mark"),
    Field("position_pnl", "money", "realized + unrealized", nullable=True),
    Field("fees", "money", "fees paid, inside the results"),
    Field("gross_of_fees", "money", "position_pnl + fees", nullable=True),
    Field("income", "money", "rewards and rebates"),
    Field("economic_pnl", "money", "position_pnl + income", nullable=True),
    Field("untracked_cash", "money", "cash of shares whose arrival was not seen"),
    Field("redeemed_cash", "money", "payouts of redemptions"),
    Field("volume", "money", "Σ (usdc_gross − refund) of the fills"),
    Field("trades", "count", "fills, both roles"),
    Field("markets", "count", "distinct conditions traded"),
    Field("wins", "count", "closed units with a gain"),
    Field("losses", "count", "closed units with a loss"),
    Field("flats", "count", "closed units with neither"),
    Field("open_units", "count", "units that are open"),
    Field("gains", "money", "Σ of gains of closed units"),
    Field("losses_abs", "money", "Σ of losses of closed units, positive"),
    Field(
        "omega", "document", "gains / losses", of=(
            Field("value", "ratio", "null unless the status is OK", nullable=True),
            Field("status", "word", "OK, NO_LOSSES, ALL_FLAT, NO_SAMPLE"),
        ),
    ),
    Field("omega_shrunk", "ratio", "omega with prior gains and losses, by which boards rank", nullable=True),
    Field("win_rate", "ratio", "wins / (wins + losses)", nullable=True),
    Field("roi", "ratio", "position_pnl / bought cost", nullable=True),
    Field("first_trade_at", "time", "time of the first fill", nullable=True),
    Field("last_trade_at", "time", "time of the last fill", nullable=True),
)  # fmt: skip

FLAG = (
    Field("flag", "word", "skilled, lucky, insider, bot, market_maker, wash_trader or specialist"),
    Field("category", "word", "of a specialist", nullable=True),
    Field("is_flagged", "flag", "all conditions hold; null before the first build", nullable=True),
    Field("status", "word", "OK, SMALL_SAMPLE, NO_SAMPLE, NO_ROUND_TRIPS, NO_VALUE or NOT_COMPUTED"),
    Field("value", "number", "what is held against the threshold", nullable=True),
    Field("threshold", "number", "least value"),
    Field("p_value", "number", "bound on the chance of such a result without skill", nullable=True),
    Field("q_value", "number", "the same among all wallets (false-discovery rate)", nullable=True),
    Field("sample", "count", "what it was judged by"), Field("minimum_sample", "count", "least sample"),
    Field("inputs", "document", "name and number"), Field("meaning", "text", "what the flag says"),
)  # fmt: skip

INTERVAL = (
    CATEGORY, Field("window", "word", "30d, 90d, 180d or lifetime"), Field("bets", "count", "closed bets"),
    Field("omega_low", "number", "lower 95 % bound of omega", nullable=True),
    Field("omega_high", "number", "upper 95 % bound of omega", nullable=True),
    Field("roi_low", "number", "lower 95 % bound of the return", nullable=True),
    Field("roi_high", "number", "upper 95 % bound of the return", nullable=True),
)  # fmt: skip

GRADE = Field("grade", "word", "S A B C D F by omega; null without a sample", nullable=True)


def metric_field(name: str) -> Field:
    """A metric as a field, described as in the catalogue."""
    metric = BY_NAME[name]
    return Field(name, "number", f"{metric.meaning} ({metric.unit})", nullable=True)


BOARD_ROW = (
    Field("rank", "count", "place, from 1"),
    WALLET,
    Field("value", "number", "what the board is sorted by", nullable=True),
    *TOTALS,
    Field("units", "count", "closed units"),
    GRADE,
    Field("specialist", "word", "category that the wallet is a specialist of", nullable=True),
    Field("flags", "words", "labels of a heuristic, not accusations: bot, market_maker, …"),
    Field("whale_score", "number", "0 to 10", nullable=True),
    Field("insider_score", "number", "0 to 10, a heuristic", nullable=True),
    Field("category_share", "ratio", "share of the wallet's volume that is in the category", nullable=True),
    Field("category_trade_share", "ratio", "share of the wallet's fills that are in the category", nullable=True),
    Field("metrics", "document", "chosen metrics; null in windows that have none", nullable=True),
    Field("week_ago", "document", "place and value a week ago, on lists whose places are kept", nullable=True),
)

SPECIALIST_ROW = (
    Field("rank", "count", "place by q-value"), WALLET, CATEGORY,
    Field("is_specialist", "flag", "passed the test"),
    Field("is_primary", "flag", "its best category"),
    Field("closed", "count", "closed units in the category"),
    Field("events", "count", "events in the category"),
    Field("rest_events", "count", "events elsewhere"),
    Field("stake_share", "number", "share of the stake that is in the category"),
    Field("bet_share", "number", "share of the bets that are in the category"),
    Field("edge", "number", "mean of outcome − price paid, per event"),
    Field("edge_shrunk", "number", "the same, shrunk"),
    Field("rest_shrunk", "number", "the same elsewhere"),
    Field("category_edge", "number", "the same of everybody in the category"),
    Field("p_category", "number", "chance of so much against everybody in the category"),
    Field("p_rest", "number", "chance of so much against the wallet's own rest"),
    Field("p_value", "number", "the larger of both"),
    Field("q_value", "number", "false discovery rate"),
    Field("net", "money", "gains − losses in the category, USDC"),
    Field("omega_shrunk", "ratio", "shrunk omega in the category", nullable=True),
    GRADE,
)  # fmt: skip

TRADE_ROW = (
    Field("at", "time", "time of the fill", nullable=True),
    Field("side", "word", "BUY or SELL"),
    Field("role", "word", "TAKER, MAKER or DIRECT, where it is known", nullable=True),
    Field("token_id", "token", "outcome token"),
    Field("condition_id", "id", "market", nullable=True),
    Field("outcome_index", "count", "place of the outcome in its market", nullable=True),
    maybe(CATEGORY),
    Field("shares", "money", "shares that changed hands, less fees taken in shares"),
    Field("price", "ratio", "volume per share, USDC", nullable=True),
    Field("volume", "money", "USDC without fees"),
    Field("cash", "money", "what the wallet paid (negative) or got, fees included"),
    Field("fee", "money", "the disclosed fee, inside cash"),
    Field("tx", "id", "transaction"),
    Field("block", "count", "its block, where it is known", nullable=True),
    Field("source", "word", "chain, activity, trades, subgraph, dump"),
)

DAY_ROW = (
    Field("day", "date", "UTC day"),
    Field("realized", "money", "realised that day"),
    Field("realized_total", "money", "realised so far"),
    Field("unrealized", "money", "of what is open at the day's end", nullable=True),
    Field("equity", "money", "realized_total + unrealized", nullable=True),
    Field("pnl", "money", "change of equity", nullable=True),
    Field("at_risk", "money", "cost of what is open at the day's end"),
    Field("at_risk_before", "money", "the same at the day's begin"),
    Field("at_risk_peak", "money", "largest cost at risk during the day"),
    Field("worst", "money", "lowest result of the day", nullable=True),
    Field("volume", "money", "USDC traded"),
    Field("unmarked", "count", "open positions without a mark"),
    Field("fills", "count", "fills of the day"),
)

METRIC_ROW = (
    Field("name", "word", "as in /api/metrics"),
    Field("number", "count", "its place among the 102", nullable=True),
    Field("value", "value", "number, or text for metrics of unit text", nullable=True),
    Field("status", "word", "OK, SMALL_SAMPLE, UNDEFINED, NOT_COMPUTED, NEEDS_DATA"),
    Field("sample", "count", "rows it was computed from", nullable=True),
    Field("unit", "word", "of the value"),
)

METRIC_DEFINITION = (
    Field("name", "word", "snake_case"),
    Field("number", "count", "place among the 102 of the seed system", nullable=True),
    Field("state", "word", "computed, later, needs"),
    Field("meaning", "text", "one line"),
    Field("formula", "text", "with its conventions"),
    Field("unit", "word", "of the value"),
    Field("direction", "word", "which way is better: higher, lower, none"),
    Field("relation", "word", "rows it is computed from", nullable=True),
    Field("minimum_sample", "count", "rows from which on there is a value", nullable=True),
    Field("undefined", "text", "when there is no value in spite of the sample", nullable=True),
    Field("source", "text", "where the definition is from"),
    Field("needs", "text", "what public data lacks for it", nullable=True),
    Field("sql", "text", "its expression", nullable=True),
)

OUTCOME = (
    Field("outcome_index", "count", "place in the market"),
    Field("outcome", "text", "its name", nullable=True),
    Field("token_id", "token", "its token"),
    Field("mark", "money", "price it is valued at", nullable=True),
    Field("mark_source", "word", "where the mark is from", nullable=True),
    Field("resolved", "flag", "the market is decided"),
    Field("payout_numerator", "count", "of the payout per share", nullable=True),
    Field("payout_denominator", "count", "of the payout per share", nullable=True),
    Field("provisional", "flag", "the payout may still change", nullable=True),
)

UNIT = (
    Field("unit", "id", "condition, or neg-risk market of wallets that converted there"),
    Field("condition_ids", "words", "its conditions"),
    CATEGORY,
    Field("realized", "money", "realised PnL"),
    Field("unrealized", "money", "of what is open", nullable=True),
    Field("result", "word", "WIN, LOSS or FLAT; null while open", nullable=True),
    Field("closed_at", "time", "when it was closed", nullable=True),
)

POSITION = (
    Field("token_id", "token", "outcome token"),
    Field("condition_id", "id", "its market"),
    Field("outcome_index", "count", "place of the outcome"),
    Field("outcome", "text", "its name", nullable=True),
    Field("shares", "money", "tracked shares; 0 when closed"),
    Field("external_shares", "money", "shares whose arrival was not seen"),
    Field("cost", "money", "of the tracked shares"),
    Field("realized", "money", "realised PnL"),
    Field("unrealized", "money", "at the mark", nullable=True),
    Field("status", "word", "OPEN, CLOSED, …"),
)

SCORE = (
    Field("value", "number", "0 to 10; null without a sample", nullable=True),
    Field("status", "word", "OK, or why there is no value"),
    Field("inputs", "document", "what the score is made of"),
)

SYNC = (
    Field("status", "word", "pending, syncing, completed, failed, parked, empty; null = never queued", nullable=True),
    Field("last_synced_at", "time", "newest reading to its proven end", nullable=True),
    Field("last_trade_at", "time", "newest trade known", nullable=True),
    Field("trades_synced", "count", "trades read"),
    Field("attempts", "count", "failures in a row"),
    Field("last_error", "text", "why the last one failed", nullable=True),
)

JOB = (
    Field("id", "count", "number of the job"),
    Field("action", "word"),
    Field("summary", "text"),
    Field("origin", "text", "key:NAME or schedule:PLAN"),
    Field("status", "word", "queued, running, done, partial, failed, cancelled"),
    Field("created_at", "time"),
    Field("started_at", "time", nullable=True),
    Field("finished_at", "time", nullable=True),
    Field("deaths", "count", "times its server died meanwhile"),
    Field("cancel_asked", "flag"),
    Field("progress", "document", "of its current step", nullable=True),
    Field("result", "document", "its runs", nullable=True),
    Field("error", "document", "code and detail, if it failed", nullable=True),
)
