from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

from builder.digest import canonical_json, digest_bytes, hex_of
from builder.errors import LockError
from builder.release.packages import pinned_packages
from builder.release.provenance import provenance
from builder.release.sbom import sbom
from builder.resources import docker_folder
from tests.trust.recipes import INVOCATION, made, planned, recipe_of

NAMES = ["shapes", "raccoon-025"]


@pytest.mark.parametrize("name", NAMES)
def test_in_toto_reads_the_statement_and_every_field_of_it(tmp_path: Path, name: str) -> None:
    document = made(name, tmp_path).statement
    # ParseDict refuses fields that the published schema does not have.
    statement = Statement.copy_from_pb(ParseDict(document, StatementMessage()))
    statement.validate()
    predicate = ParseDict(document["predicate"], provenance_pb2.Provenance())
    assert predicate.build_definition.build_type
    assert predicate.run_details.builder.id
    assert predicate.run_details.metadata.started_on.ToJsonString() == "2026-11-24T12:00:00Z"
    assert len(predicate.build_definition.resolved_dependencies) > 50
    for item in (*predicate.build_definition.resolved_dependencies, *predicate.run_details.byproducts):
        ResourceDescriptor.copy_from_pb(item).validate()
        # SLSA: a URI, a digest or the content itself.
        assert item.uri or item.digest


def test_the_subjects_are_the_release_and_each_of_its_files(tmp_path: Path) -> None:
    it = made("shapes", tmp_path)
    document: Any = it.statement
    first, *files = document["subject"]
    assert first == {"name": it.release.ref, "digest": {"sha256": hex_of(it.release.digest)}}
    assert {item["name"]: f"sha256:{item['digest']['sha256']}" for item in files} == {
        title: digest for title, (digest, _) in it.release.files.items()
    }


def test_what_the_build_depends_on_is_named_apart_from_the_run(tmp_path: Path) -> None:
    it, found = made("raccoon-025", tmp_path), planned("raccoon-025")
    predicate: Any = it.statement["predicate"]
    definition, run = predicate["buildDefinition"], predicate["runDetails"]
    manifest = definition["externalParameters"]
    assert digest_bytes(canonical_json(manifest["manifest"])) == manifest["manifestDigest"]
    assert definition["internalParameters"]["steps"] == {step.name: step.key for step in found.plans[0].steps}
    named = {item["name"]: item for item in definition["resolvedDependencies"]}
    assert found.lock.dataset is not None
    assert named["dataset.json"]["digest"]["sha256"] == hex_of(found.lock.dataset.digest)
    commit = str(found.lock.dataset.origin).removeprefix("git:")
    assert named["dataset/raccoon"]["digest"] == {"gitCommit": commit}
    assert named["dataset/raccoon"]["uri"].startswith("git+https://")
    assert named["toolchains/tf1.15/image"]["uri"].startswith("pkg:oci/python@sha256%3A")
    assert named["toolchains/tf1.15/requirements.lock"]["digest"]["sha256"] == hex_of(
        found.lock.toolchains["tf1.15"].requirements
    )
    assert named["tf1.15/gast"] == {
        "name": "tf1.15/gast",
        "uri": "pkg:pypi/gast@0.2.2",
        "digest": {"sha256": "fe939df4583692f0512161ec1c880e0a10e71e6a232da045ab8edd3756fbadf0"},
    }
    assert named["tf1.15/absl-py"]["annotations"]["version"] == "2.1.0"
    assert len(named["tf1.15/absl-py"]["annotations"]["sha256OneOf"]) == 2
    assert "steps/train.py" in named
    assert run["byproducts"] == [{"name": "run.json", "digest": {"sha256": hex_of(INVOCATION.run)}}]
    assert not {"runDetails", "startedOn"} & set(json.dumps(definition).split('"'))


def test_the_same_pieces_give_the_same_statement_and_another_run_changes_only_its_details(tmp_path: Path) -> None:
    it, found = made("shapes", tmp_path), planned("shapes")
    manifest, recipe = found.family.manifests[0], recipe_of(found)
    backwards = dict(reversed(recipe.items()))
    again: Any = provenance(it.release, manifest, found.lock, found.plans[0], backwards, INVOCATION)
    assert canonical_json(again) == canonical_json(it.statement)
    other = dataclasses.replace(INVOCATION, id="urn:uuid:1")
    changed: Any = provenance(it.release, manifest, found.lock, found.plans[0], recipe, other)
    assert changed != again
    assert changed["predicate"]["buildDefinition"] == again["predicate"]["buildDefinition"]


@pytest.mark.parametrize("name", NAMES)
def test_the_bill_of_materials_keeps_to_the_schema(name: str) -> None:
    found = planned(name)
    data = sbom(found.lock, found.plans[0], recipe_of(found))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    broken = data.decode().replace('"type":"library"', '"type":"book"', 1)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None
    document = json.loads(data)
    references = [item["bom-ref"] for item in document["components"]]
    assert len(set(references)) == len(references)
    known = {*references, "model"}
    assert {ref for item in document["dependencies"] for ref in (item["ref"], *item["dependsOn"])} <= known


def test_the_bill_names_every_package_image_and_step_and_nothing_of_the_moment() -> None:
    found = planned("raccoon-025")
    recipe = recipe_of(found)
    data = sbom(found.lock, found.plans[0], recipe)
    assert sbom(found.lock, found.plans[0], dict(reversed(recipe.items()))) == data
    document = json.loads(data)
    assert "timestamp" not in document["metadata"]
    parts = {item["bom-ref"]: item for item in document["components"]}
    for toolchain in ("tf1.15", "litert"):
        text = recipe[f"toolchains/{toolchain}/requirements.lock"].decode()
        for package in pinned_packages(text, toolchain):
            part = parts[package.purl]
            of_files = [link["hashes"] for link in part.get("externalReferences", [])]
            hashes = part.get("hashes") or of_files[0]
            assert tuple(item["content"] for item in hashes) == package.hashes
    assert {item["name"] for item in parts.values() if item["type"] == "container"} == {"python"}
    assert {name for name in recipe if name.startswith("steps/")} <= parts.keys()
    assert "toolchains/tf1.15/kernels/ops.cc" in parts
    assert document["metadata"]["component"]["name"] == "raccoon-025"
    other = sbom(found.lock, dataclasses.replace(found.plans[0], version="9.9.9"), recipe)
    assert json.loads(other)["serialNumber"] != document["serialNumber"]


@pytest.mark.parametrize("toolchain", ["tf1.12", "tf1.15", "tf1.15-mkl", "litert"])
def test_every_shipped_lock_is_read_whole(toolchain: str) -> None:
    text = (docker_folder() / toolchain / "requirements.lock").read_text()
    packages = pinned_packages(text, toolchain)
    assert sum(len(package.hashes) for package in packages) == text.count("--hash=sha256:")
    assert len(packages) == text.count("==") > 3


def test_a_lock_that_pins_nothing_is_refused() -> None:
    for text in ("absl-py==2.1.0", "absl-py>=2 --hash=sha256:" + "0" * 64, "-e .", "https://x/y.whl"):
        with pytest.raises(LockError):
            pinned_packages(text, "requirements.lock")
    hashed = f"A_b.c[extra]==1!2.0+local ; python_version < '4' \\\n  --hash=sha256:{'0' * 64}  # via x"
    (package,) = pinned_packages(hashed, "requirements.lock")
    assert (package.name, package.version, package.purl) == ("a-b-c", "1!2.0+local", "pkg:pypi/a-b-c@1%212.0%2Blocal")
