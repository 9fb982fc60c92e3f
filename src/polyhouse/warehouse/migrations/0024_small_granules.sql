-- Rows of one wallet are read without those of eighty others: granules of 512 rows instead of 8,192, in smaller blocks of
-- compression. Measured: 1 % of the wallets are read at a third to a half of the cost, the whole table at the same, and it takes 2 % more
-- disk. A table's granules cannot be altered, so each is made anew and takes the parts of the old one as they are: observations
-- get small granules as they arrive and are merged, models when the next build of everybody writes them.
DROP TABLE IF EXISTS observations__small, ledger__small, unmapped__small, positions__small,
    wallet_days__small, units__small, wallet_totals__small, wallet_coverage__small,
    wallet_scores_v1__small, priced_trades__small, positions_polymarket__small, wallet_flags__small,
    wallet_intervals__small, category_edges__small;

CREATE TABLE observations__small AS observations ENGINE = ReplacingMergeTree(version)
ORDER BY (wallet, token, ts, tx, source, row_key)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000,
         min_compress_block_size = 16384, max_compress_block_size = 262144, max_parts_to_merge_at_once = 20,
         index_granularity = 512, enable_block_number_column = 1;
CREATE TABLE ledger__small AS ledger ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token, ts, block, tx_index, pos, cls, sub, tx, row_key) SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE unmapped__small AS unmapped ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token, condition) SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE positions__small AS positions ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token) SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE wallet_days__small AS wallet_days ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, category, day) SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE units__small AS units ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, unit) SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE wallet_totals__small AS wallet_totals ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, category, window) SETTINGS index_granularity = 512, min_compress_block_size = 16384, deduplicate_merge_projection_mode = 'rebuild';
CREATE TABLE wallet_coverage__small AS wallet_coverage ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY wallet SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE wallet_scores_v1__small AS wallet_scores_v1 ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY wallet SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE priced_trades__small AS priced_trades ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token, at, tx_key) SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE positions_polymarket__small AS positions_polymarket ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, token) SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE wallet_flags__small AS wallet_flags ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, flag) SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE wallet_intervals__small AS wallet_intervals ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, category, window) SETTINGS index_granularity = 512, min_compress_block_size = 16384;
CREATE TABLE category_edges__small AS category_edges ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (wallet, category) SETTINGS index_granularity = 512, min_compress_block_size = 16384;

ALTER TABLE observations__small ATTACH PARTITION ALL FROM observations;
ALTER TABLE ledger__small ATTACH PARTITION ALL FROM ledger;
ALTER TABLE unmapped__small ATTACH PARTITION ALL FROM unmapped;
ALTER TABLE positions__small ATTACH PARTITION ALL FROM positions;
ALTER TABLE wallet_days__small ATTACH PARTITION ALL FROM wallet_days;
ALTER TABLE units__small ATTACH PARTITION ALL FROM units;
ALTER TABLE wallet_totals__small ATTACH PARTITION ALL FROM wallet_totals;
ALTER TABLE wallet_coverage__small ATTACH PARTITION ALL FROM wallet_coverage;
ALTER TABLE wallet_scores_v1__small ATTACH PARTITION ALL FROM wallet_scores_v1;
ALTER TABLE priced_trades__small ATTACH PARTITION ALL FROM priced_trades;
ALTER TABLE positions_polymarket__small ATTACH PARTITION ALL FROM positions_polymarket;
ALTER TABLE wallet_flags__small ATTACH PARTITION ALL FROM wallet_flags;
ALTER TABLE wallet_intervals__small ATTACH PARTITION ALL FROM wallet_intervals;
ALTER TABLE category_edges__small ATTACH PARTITION ALL FROM category_edges;

EXCHANGE TABLES observations AND observations__small, ledger AND ledger__small, unmapped AND unmapped__small,
    positions AND positions__small, wallet_days AND wallet_days__small, units AND units__small,
    wallet_totals AND wallet_totals__small, wallet_coverage AND wallet_coverage__small, wallet_scores_v1 AND wallet_scores_v1__small,
    priced_trades AND priced_trades__small, positions_polymarket AND positions_polymarket__small, wallet_flags AND wallet_flags__small,
    wallet_intervals AND wallet_intervals__small, category_edges AND category_edges__small;
DROP TABLE observations__small, ledger__small, unmapped__small, positions__small,
    wallet_days__small, units__small, wallet_totals__small, wallet_coverage__small,
    wallet_scores_v1__small, priced_trades__small, positions_polymarket__small, wallet_flags__small,
    wallet_intervals__small, category_edges__small;

-- The engine numbers inserts by table: what builds kept by these numbers is made anew by the next one of everybody.
TRUNCATE TABLE ledger_builds;
TRUNCATE TABLE price_builds;
