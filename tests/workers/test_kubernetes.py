"""The example for Dask's Kubernetes operator, held against the operator's own definition of what a cluster is."""

from __future__ import annotations

import copy
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from builder.cli.app import app
from tests.workers.running import EXAMPLES

CLUSTER = yaml.safe_load((EXAMPLES / "kubernetes.yaml").read_text())
DEFINITION = "operator/deployment/helm/dask-kubernetes-operator/crds/daskcluster.yaml"


def closed(schema: Any) -> Any:
    """``schema`` with every key that it does not name refused: a server would drop such a key, and say nothing."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    named = isinstance(schema.get("properties"), dict) and "type" in schema
    if named and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found["additionalProperties"] = False
    return found


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    definition = yaml.safe_load((files("dask_kubernetes") / DEFINITION).read_text())
    version = next(item for item in definition["spec"]["versions"] if item["name"] == "v1")
    schema = closed(version["schema"]["openAPIV3Schema"])
    kind = definition["spec"]["names"]["kind"]
    assert (kind, f"{definition['spec']['group']}/v1") == (CLUSTER["kind"], CLUSTER["apiVersion"])
    return jsonschema.Draft7Validator(schema["properties"]["spec"])


def test_the_operator_knows_every_key_of_the_example(validator: jsonschema.Draft7Validator) -> None:
    problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(CLUSTER["spec"])]
    assert problems == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("worker", "replicas"), "four"),
        (("worker", "replica"), 4),
        (("worker", "spec", "terminationGracePeriod"), 30),
        (("worker", "spec", "containers", 0, "resource"), {}),
        (("worker", "spec", "containers", 0, "securityContext", "privilege"), False),
        (("scheduler", "service", "ports", 0, "port"), "8786"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_slip_would_be_seen(validator: jsonschema.Draft7Validator, path: tuple[Any, ...], value: Any) -> None:
    spoilt = copy.deepcopy(CLUSTER["spec"])
    place = spoilt
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert list(validator.iter_errors(spoilt))


def container(part: str) -> dict[str, Any]:
    (one,) = CLUSTER["spec"][part]["spec"]["containers"]
    return dict(one)


def test_what_the_worker_is_started_with_is_what_tinsmith_takes() -> None:
    program, verb, *words = container("worker")["args"]
    assert (program, verb) == ("tinsmith", "worker")
    command = typer.main.get_command(app).commands["worker"]  # type: ignore[attr-defined]
    taken = command.make_context("worker", list(words)).params
    assert (taken["scheduler"], taken["name"]) == ("$(DASK_SCHEDULER_ADDRESS)", "$(DASK_WORKER_NAME)")
    assert taken["engine"] == "local"


def test_variables_of_the_operator_are_named_only_where_kubernetes_fills_them_in() -> None:
    """The operator puts its variables after ours, and a variable sees only those before it; arguments see all."""
    assert not [item for item in container("worker")["env"] if "$(" in item.get("value", "")]


@pytest.mark.parametrize("part", ["worker", "scheduler"])
def test_nothing_runs_as_root_or_with_rights_to_the_cluster(part: str) -> None:
    pod = CLUSTER["spec"][part]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container(part)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_credentials_come_from_a_secret() -> None:
    assert container("worker")["envFrom"] == [{"secretRef": {"name": "tinsmith-store"}}]
    names = {item["name"] for item in container("worker")["env"]}
    assert not {name for name in names if "SECRET" in name or "KEY" in name}
    assert "TINSMITH_STORE" in names


def test_the_service_finds_the_scheduler() -> None:
    service = CLUSTER["spec"]["scheduler"]["service"]
    assert service["selector"]["dask.org/cluster-name"] == CLUSTER["metadata"]["name"]
    ports = {item["name"]: item["containerPort"] for item in container("scheduler")["ports"]}
    assert {item["targetPort"]: item["port"] for item in service["ports"]} == ports
