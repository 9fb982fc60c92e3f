-- Half of a document are ids, which nothing compresses: LZ4 takes a twelfth more room for the part of positions than ZSTD and is written
-- at half the cost. Rows that are there stay as they are until a build or a merge writes them again.
ALTER TABLE wallet_documents MODIFY COLUMN part_bytes String CODEC(LZ4);
