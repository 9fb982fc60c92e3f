-- What became known, in the order in which it became known (docs/live.md; polyhouse/feed). Ids grow by one and are never used again,
-- so that a reader who remembers the last one misses nothing and sees nothing twice.

CREATE TABLE IF NOT EXISTS feed
(
    id        UInt64,
    at        DateTime('UTC'),                -- when it was published
    kind      LowCardinality(String),         -- trade | resolution | leaderboard | flag
    action    LowCardinality(String),         -- new | changed | removed
    place     UInt64,                         -- what the event is about: later events about it have the same
    digest    UInt64,                         -- of its state; 0 = removed
    wallet    FixedString(20),                -- zero where it is not about a wallet
    condition String,                         -- '' where it is not about a market
    ts        DateTime('UTC'),                -- when it happened
    volume    Int64,                          -- of a trade, micro-USDC
    body      String                          -- JSON
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(at)
ORDER BY id;

-- The last state of what events of kinds without a date were about (leaderboard, flag): what the next build is compared with.
CREATE TABLE IF NOT EXISTS feed_places
(
    kind      LowCardinality(String),
    place     UInt64,
    digest    UInt64,
    wallet    FixedString(20),
    condition String,
    ts        DateTime('UTC'),
    body      String,
    id        UInt64                          -- of the event that said so; 0 = known before the feed began
)
ENGINE = ReplacingMergeTree(id)
ORDER BY (kind, place);
