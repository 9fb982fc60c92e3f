-- Builds keep in memory what they staged here: the price history is a table of its own, and scores read priced_trades.
DROP TABLE IF EXISTS purchases;
DROP TABLE IF EXISTS fill_prices;
DROP TABLE IF EXISTS day_marks;
