"""What the OpenAPI document says beside the signatures: schemas of answers, of errors, and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI

from polyhouse.serve.forms import ARROW, CSV, JSON
from polyhouse.serve.problems import title_of
from polyhouse.serve.schemas.documents import TABLES, components

EXAMPLE_WALLET = "0x6af75d4e4aaf700450efbac3708cce1665810ff1"
EXAMPLE_MARKET = "0x2d7ae4a2f86ab86b2ab5a3b0fda3bc0e1a1e7a7e13b8d5ae9b0eae9b9d5b0f10"
_PROBLEM = "application/problem+json"


def answers(schema: str, *, table: str = "", status: int = 200, errors: Sequence[int] = ()) -> dict[int | str, Any]:
    """``responses`` of a route.

    Args:
        schema: name of the document's schema.
        table: read function whose table is also answered as CSV and Arrow.
        status: of success.
        errors: statuses of problem documents beside the usual ones.
    """
    content: dict[str, Any] = {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    if table in TABLES:
        content |= {CSV: {"schema": {"type": "string"}}, ARROW: {"schema": {"type": "string", "format": "binary"}}}
    found: dict[int | str, Any] = {status: {"description": schema, "content": content}}
    if status == 200:
        found[304] = {"description": "The client has this answer."}
        found |= problems(406)
    return found | problems(422, 429, 500, 503, *errors)


def problems(*statuses: int) -> dict[int | str, Any]:
    """``responses`` for errors."""
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {status: {"description": title_of(status), "content": {_PROBLEM: reference}} for status in statuses}


def example(*requests: str) -> dict[str, Any]:
    """``openapi_extra`` with complete requests (method, path, body); the tests execute them."""
    return {"x-examples": list(requests)}


def _only_references(node: Any) -> None:
    """The framework calls every answer a text where we say what it is: a reference stands alone."""
    if isinstance(node, list):
        for one in node:
            _only_references(one)
    elif isinstance(node, dict):
        if "$ref" in node:
            node.pop("type", None)
        if node.get(JSON) == {"schema": {"type": "string"}}:
            node[JSON] = {"schema": {"type": "object"}}
        for one in node.values():
            _only_references(one)


def install(app: FastAPI) -> None:
    """Put the schemas of the documents, and of the keys, into the OpenAPI document."""
    original = app.openapi

    def document() -> Mapping[str, Any]:
        if app.openapi_schema is None:
            made = original()
            parts = made.setdefault("components", {})
            parts.setdefault("schemas", {}).update(components())
            parts["securitySchemes"] = {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            }
            _only_references(made["paths"])
            for path, operations in made["paths"].items():
                for operation in operations.values():
                    if "422" in operation["responses"]:  # the framework's own shape of errors is never sent
                        operation["responses"]["422"] = problems(422)[422]
                    if path.startswith("/api/admin"):
                        operation["security"] = [{"key": []}, {"bearer": []}]
            for name in ("HTTPValidationError", "ValidationError"):
                parts["schemas"].pop(name, None)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign, assignment]
