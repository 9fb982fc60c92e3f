"""Where a BigQuery warehouse is, and how much it may read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from polyhouse.errors import ConfigError

SCHEME = "bigquery://"
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{1,61}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")

GIB = 1 << 30
NOT_INSTALLED = "BigQuery needs packages that are not installed."
INSTALL = "pip install 'polyhouse[bigquery]'"


@dataclass(frozen=True, slots=True)
class DatasetName:
    """One dataset of one project."""

    project: str
    dataset: str

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How a dataset is reached and what may be read there.

    Attributes:
        endpoint: another address of the API, such as an emulator's, asked without credentials; '' = Google's own.
        location: where the dataset is made if it is not there.
        query_bytes: no statement may be billed more (``maximum_bytes_billed``).
        daily_bytes: all statements of one day (UTC) together.
        models_seconds: positions, units and totals follow the trades this often; 0 = with every publication.
        metrics_seconds: metrics, scores, flags, specialists and categories follow this often; 0 = with every build,
            -1 = never.
        timeout_seconds: of one request, and of the wait for one job.
    """

    endpoint: str = ""
    location: str = "US"
    query_bytes: int = 50 * GIB
    daily_bytes: int = 400 * GIB
    models_seconds: int = 21_600
    metrics_seconds: int = 86_400
    timeout_seconds: float = 600.0


def parse_dataset(url: str) -> DatasetName:
    """Read ``bigquery://project/dataset``.

    Raises:
        ConfigError: not of that form.
    """
    project, _, dataset = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not _PROJECT.fullmatch(project) or not _DATASET.fullmatch(dataset):
        raise ConfigError(
            f"The warehouse {url.partition('?')[0]!r} does not name one dataset of one project.",
            hint="For example bigquery://my-project/polymarket; credentials are found as Google's own tools find them",
        )
    return DatasetName(project, dataset)
