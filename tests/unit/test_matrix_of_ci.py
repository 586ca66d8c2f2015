"""The CI matrix: bounded, nothing lost, one line."""

from __future__ import annotations

import re

import pytest

from builder.compile.matrix import MOST, Entry, matrix, text
from builder.errors import UsageError


def entries(count: int) -> list[Entry]:
    return [Entry(f"manifests/m-{number}.yaml", f"m-{number}", "1.0.0", number * 37 % 1000) for number in range(count)]


def test_nothing_to_build() -> None:
    assert text(matrix([])) == '{"any":false,"include":[]}\n'


def test_a_job_a_manifest() -> None:
    assert matrix([Entry("manifests/a.yaml", "a", "1.0.0", 61), Entry("-b.yaml", "b", "2.0.0", 0)]) == {
        "any": True,
        "include": [
            {"id": "a", "manifest": "manifests/a.yaml", "name": "a", "version": "1.0.0", "minutes": 2},
            {"id": "b", "manifest": "./-b.yaml", "name": "b", "version": "2.0.0", "minutes": 0},
        ],
    }


@pytest.mark.parametrize(("count", "most"), [(255, 256), (256, 256), (257, 256), (10_000, 256), (10, 1), (7, 3)])
def test_more_manifests_than_jobs_are_grouped_and_none_is_lost(count: int, most: int) -> None:
    found = matrix(entries(count), most)["include"]
    assert len(found) == min(count, most)
    paths = [path for job in found for path in job["manifest"].split("\n")]
    assert sorted(paths) == sorted(entry.path for entry in entries(count))
    for job in found:
        assert len(job["name"].split("\n")) == len(job["manifest"].split("\n")) == len(job["version"].split("\n"))
        assert re.fullmatch("[a-z0-9-]{1,80}", job["id"])
    assert len({job["id"] for job in found}) == len(found)


def test_groups_take_about_the_same_time() -> None:
    minutes = [job["minutes"] for job in matrix(entries(10_000))["include"]]
    assert max(minutes) - min(minutes) <= 2
    without_training = matrix([Entry(f"{number}.yaml", "x", "1", 0) for number in range(2 * MOST)])["include"]
    assert {len(job["manifest"].split("\n")) for job in without_training} == {2}


def test_one_line_of_ascii_whatever_the_names() -> None:
    written = text(matrix([Entry("manifests/ü'\"$(id)`.yaml", "a", "1.0.0", 1)]))
    assert written.isascii()
    assert written.count("\n") == 1
    with pytest.raises(UsageError):
        matrix([Entry("manifests/a\nb.yaml", "a", "1.0.0", 1)])


def test_ids_are_unique_where_names_are_not() -> None:
    found = matrix([Entry(f"{number}.yaml", "x" * 63, "1.0.0", 1) for number in range(4)], 2)["include"]
    assert len({job["id"] for job in found}) == 2
