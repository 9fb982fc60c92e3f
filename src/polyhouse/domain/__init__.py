"""The vocabulary of Polymarket as pure functions: ids, contracts, amounts, times, categories, Data API amounts."""
