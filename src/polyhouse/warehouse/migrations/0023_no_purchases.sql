-- Scores read priced_trades: a build does not sum purchases up on its own any more.
DROP TABLE IF EXISTS purchases;
