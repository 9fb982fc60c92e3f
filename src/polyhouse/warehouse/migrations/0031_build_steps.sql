-- What each step of a build took, and what it wrote: for gauges and for whoever asks why a build is slow.

ALTER TABLE publications ADD COLUMN IF NOT EXISTS step_seconds Map(String, Float64) AFTER seconds;
ALTER TABLE publications ADD COLUMN IF NOT EXISTS table_rows Map(String, UInt64) AFTER step_seconds;

CREATE OR REPLACE VIEW vw_publications AS
SELECT
    build, kind, tables, held, replaced, restored, as_of, wallets, row_count AS rows, seconds, step_seconds, table_rows,
    at
FROM publications FINAL
WHERE is_done;
