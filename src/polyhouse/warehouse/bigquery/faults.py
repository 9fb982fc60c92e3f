"""The official client: how it is made, and its errors in the product's own words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from polyhouse.errors import (
    AuthError,
    BadInputError,
    ConfigError,
    PolyhouseError,
    WarehouseUnavailableError,
)
from polyhouse.warehouse.bigquery.location import INSTALL, NOT_INSTALLED, DatasetName, Limits

if TYPE_CHECKING:
    from google.cloud import bigquery

_LONGEST = 1_000
_REQUEST = re.compile(r"^[A-Z]+ https?://\S+: ")
_QUOTA = frozenset({"quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded", "backendError", "resourcesExceeded"})
_CAPPED = "bytesBilledLimitExceeded"


def connect(name: DatasetName, limits: Limits) -> bigquery.Client:
    """The official client; at another endpoint without credentials, which an emulator does not want.

    Raises:
        ConfigError: the optional packages are not installed.
        AuthError: Google's library finds no credentials.
    """
    try:
        from google.api_core.client_options import ClientOptions
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import bigquery
    except ImportError as error:
        raise ConfigError(NOT_INSTALLED, hint=INSTALL) from error
    options: dict[str, Any] = {}
    if limits.endpoint:
        options["credentials"] = AnonymousCredentials()  # type: ignore[no-untyped-call]
        options["client_options"] = ClientOptions(api_endpoint=limits.endpoint)
    try:
        return bigquery.Client(project=name.project, location=limits.location, **options)
    except DefaultCredentialsError as error:
        raise AuthError(
            "Google's library finds no credentials for BigQuery.",
            hint="gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS",
        ) from error


def translate(error: Exception) -> PolyhouseError:
    """The product's error for a failure of one of our own calls."""
    from google.api_core import exceptions as api
    from google.auth.exceptions import GoogleAuthError

    text = first_line(error)
    reasons = _reasons(error)
    if _CAPPED in reasons:
        return ConfigError(
            f"BigQuery stopped a statement at its byte cap: {text}", hint="POLYHOUSE_BIGQUERY_QUERY_BYTES"
        )
    if isinstance(error, api.Unauthorized | GoogleAuthError):
        return AuthError(f"BigQuery refused the credentials: {text}")
    if isinstance(error, api.Forbidden) and not reasons & _QUOTA:
        return AuthError(
            f"BigQuery does not allow it: {text}",
            hint="the account needs roles/bigquery.dataEditor on the dataset and roles/bigquery.jobUser",
        )
    if isinstance(error, api.BadRequest | api.NotFound) and not reasons & _QUOTA:
        return PolyhouseError(f"BigQuery refused a statement of ours: {text}")
    return WarehouseUnavailableError(f"BigQuery did not do it: {text}")


def translate_user_sql(error: Exception) -> PolyhouseError:
    """The product's error for a failure of a user's SELECT."""
    from google.api_core import exceptions as api

    known = translate(error)
    if isinstance(error, api.BadRequest | api.NotFound) and type(known) is PolyhouseError:
        return BadInputError(f"The query is wrong: {first_line(error)}")
    return known


def first_line(error: Exception) -> str:
    """An error in one line, without the address and the body of the request."""
    lines = str(getattr(error, "message", "") or error).strip().splitlines()
    return (_REQUEST.sub("", lines[0]) if lines else type(error).__name__)[:_LONGEST]


def _reasons(error: Exception) -> set[str]:
    details = getattr(error, "errors", None) or ()
    return {str(one.get("reason", "")) for one in details if isinstance(one, dict)}
