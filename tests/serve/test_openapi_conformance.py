"""Schemathesis over the OpenAPI document of a real server: no 5xx, and nothing that the document does not say."""

from __future__ import annotations

import pytest
import schemathesis
from api_server import NOBODY, Server, fill
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from polyhouse.serve.openapi import EXAMPLE_MARKET, EXAMPLE_WALLET

KEY = "a-key"
ENDLESS = "/api/events"
NOT_SAID = [positive_data_acceptance, ignored_auth]
"""A schema cannot tell which cursor or moment was handed out, so some requests that fit it are refused with 422.
And after ten wrong keys even wrong ones are answered with 429 (test_admin_api.py has every route with every key)."""


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    home = tmp_path_factory.mktemp("described")
    fill(home, EXAMPLE_WALLET, EXAMPLE_MARKET)
    running = Server(home, admin_api_key=KEY, api_rate_per_minute=0, **NOBODY)
    yield schemathesis.openapi.from_url(f"http://{running.address}/openapi.json")
    running.stop()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_that_the_document_names(described, mode):
    """Requests that fit the document (positive) and such that do not (negative), of every route."""
    tried, failures = 0, []
    for result in described.get_all_operations():
        operation = result.ok()
        if operation.path == ENDLESS:
            continue
        try:
            _try(operation, mode)
        except Unsatisfiable:
            continue  # nothing to get wrong there
        except BaseExceptionGroup as group:
            failures += [f"{operation.label}: {error}" for error in group.exceptions]
        except AssertionError as error:
            failures.append(f"{operation.label}: {error}")
        tried += 1
    assert failures == [], "\n\n".join(failures)[:6_000]
    assert tried >= 10


def _try(operation, mode):
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=8, deadline=None, derandomize=True, database=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def run(case):
        case.call_and_validate(headers={"X-API-Key": KEY}, timeout=60, excluded_checks=NOT_SAID)

    run()
