"""BigQuery as a warehouse (docs/bigquery.md): a local store computes, a dataset follows it by load jobs and MERGE."""

from __future__ import annotations

from pathlib import Path

from polyhouse.warehouse.bigquery.location import SCHEME, DatasetName, Limits, parse_dataset
from polyhouse.warehouse.bigquery.store import BigQueryWarehouse, cache_folder, maker

__all__ = ["SCHEME", "BigQueryWarehouse", "DatasetName", "Limits", "cache_folder", "open_bigquery", "parse_dataset"]


def open_bigquery(url: str, home: Path, limits: Limits) -> BigQueryWarehouse:
    """Open the local store of a dataset. BigQuery itself is asked when something is published or queried there.

    Args:
        url: ``bigquery://project/dataset``.
        home: the folder of embedded stores.
        limits: how to reach the dataset and what may be read there.

    Raises:
        ConfigError: malformed URL, or a store of a newer version.
        StoreInUseError: another process has the local store open.
    """
    from polyhouse.warehouse import open_store
    from polyhouse.warehouse.location import Embedded

    name = parse_dataset(url)
    folder = cache_folder(home, name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    warehouse = open_store(Embedded(folder.resolve()), maker(name, limits))
    warehouse.start_counting()
    return warehouse
