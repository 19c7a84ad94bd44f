"""The OpenAPI document is whole and true: a client that knows nothing else finds no answer outside of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from redis import Redis
from referencing import Registry, Resource

from tests.security.fuzz_contract import served_document, try_contract
from tests.security.served import Served

# The seed repeats what was seen; the soak rolls the dice.
QUICK = ("--max-examples", "2", "--seed", "1", "--generation-deterministic", "--no-shrink")
METHODS = ("get", "post", "delete", "put", "patch")


@pytest.fixture
def served(text_redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Served]:
    with Served(text_redis, redis_url, tmp_path / "house") as served:
        yield served


@pytest.fixture
def document(served: Served) -> dict[str, Any]:
    return served_document(served)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        yield from ((path, method, operation) for method, operation in methods.items() if method in METHODS)


def answers(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            shared = answer.get("$ref", "").rpartition("/")[2]
            yield operation["operationId"], status, document["components"]["responses"][shared] if shared else answer


def test_no_answer_is_outside_the_contract(served: Served, tmp_path: Path) -> None:
    verdict = try_contract(served, tmp_path, *QUICK)
    assert not verdict.failures, verdict.failures
    assert verdict.cases > 800
    done = served.house.store.newest(owner=None, before=None)
    assert any(job.status == "succeeded" for job in done), "the client never saw a finished job"


def test_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_route_stands_in_the_document(served: Served, document: dict[str, Any]) -> None:
    files = ("/static/", "/docs/", "/favicon.ico")
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in served.house.app.url_map.iter_rules()
        for method in rule.methods - {"OPTIONS", "HEAD"}
        if not rule.rule.startswith(files)
    }
    assert {(path, method) for path, method, _ in operations(document)} == routes


def test_operations_have_names_of_their_own_and_words(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(operation["summary"] for _, _, operation in operations(document))


def test_every_error_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    for name, status, answer in answers(document):
        if int(status) >= 400:
            assert list(answer["content"]) == ["application/problem+json"], (name, status)
            assert answer["content"]["application/problem+json"]["example"]["status"] == int(status)
        if status in ("429", "503"):
            assert "Retry-After" in answer["headers"], (name, status)
        assert "X-Request-ID" in answer["headers"], (name, status)


def test_every_body_that_can_be_read_has_an_example(document: dict[str, Any]) -> None:
    """Meshes, pictures and pages are described alone; the document is its own example."""
    texts = ("application/json", "text/plain", "text/event-stream", "multipart/form-data")
    bare = {
        (operation["operationId"], status, kind)
        for _, _, operation in operations(document)
        for status, body in [*operation["responses"].items(), ("request", operation.get("requestBody", {}))]
        for kind, content in body.get("content", {}).items()
        if kind in texts and "example" not in content
    }
    assert bare == {("openapi_document", "200", "application/json")}


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    registry = Registry().with_resource("urn:api", Resource.opaque(document))
    tried = 0
    bodies = [body for _, _, answer in answers(document) for body in answer.get("content", {}).values()]
    for _, _, operation in operations(document):
        bodies += operation.get("requestBody", {}).get("content", {}).values()
    for body in bodies:
        if "example" in body and not isinstance(body["example"], str):
            schema = _absolute(body["schema"])
            OAS31Validator(schema, registry=registry).validate(body["example"])
            tried += 1
    assert tried > 70


def _absolute(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: f"urn:api{value}" if name == "$ref" else _absolute(value) for name, value in node.items()}
    return node


def test_links_lead_to_operations_that_take_what_they_give(document: dict[str, Any]) -> None:
    takes = {
        operation["operationId"]: {one.get("name") for one in operation.get("parameters", ())}
        for _, _, operation in operations(document)
    }
    links = [link for _, _, answer in answers(document) for link in answer.get("links", {}).values()]
    assert len(links) > 20
    for link in links:
        assert link["parameters"].keys() <= takes[link["operationId"]], link


def test_only_public_operations_need_no_key(document: dict[str, Any]) -> None:
    assert document["security"] == [{"key": []}]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    public = {path for path, _, operation in operations(document) if operation.get("security") == []}
    assert public <= {"/", "/docs", "/health", "/ready", "/api/jobs/{job_id}/view"}
