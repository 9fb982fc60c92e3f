"""Tables as files: CSV, JSON Lines, Parquet, Arrow, Excel, DuckDB; bounded memory, resumable, with a manifest."""
