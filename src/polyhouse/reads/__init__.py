"""Documents from the model tables: plain dicts, money as exact ``Decimal``, ready for ``exact.encode``."""
