-- Metrics of a row once more, side by side in one column: whoever wants all of a wallet reads three columns instead of 140,
-- of which the engine needs longer to plan the reading than to read. The build says what is in them and in which order
-- (models/packed_metrics.py); the rows of older builds get them with the next build of all wallets.
ALTER TABLE wallet_metrics_complete
    ADD COLUMN IF NOT EXISTS packed Array(Nullable(Float64)),
    ADD COLUMN IF NOT EXISTS packed_words Array(Nullable(String)),
    ADD COLUMN IF NOT EXISTS packed_by LowCardinality(String);      -- names the order; '' = not packed

ALTER TABLE wallet_metrics_by_category
    ADD COLUMN IF NOT EXISTS packed Array(Nullable(Float64)),
    ADD COLUMN IF NOT EXISTS packed_words Array(Nullable(String)),
    ADD COLUMN IF NOT EXISTS packed_by LowCardinality(String);
