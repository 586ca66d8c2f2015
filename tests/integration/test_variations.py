"""The same bytes whatever is varied around a build; ``python -m tests.stress.variations`` does it for any manifest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.integration.conftest import runner
from tests.stress.variations import VARIATIONS, available, differing, release_under, run_under

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.skipif(os.getuid() != 0, reason="mounts and namespaces need root"),
]

FACTS = {
    "environment": "echo ${OMP_NUM_THREADS-}",
    "build_path": "pwd; echo ${TINSMITH_CACHE-}",
    "home": "echo $HOME",
    "kernel": "uname -r",
    "aslr": "cat /proc/self/personality",
    "num_cpus": "nproc",
    "time": "env -i /bin/date +%Y-%m",
    "user_group": "id -u; id -g",
    "fileordering": "touch $(seq 100); ls -U",
    "host": "hostname",
    "locales": "echo ${LC_ALL-}",
    "exec_path": "echo $PATH",
    "timezone": "date +%z",
    "umask": "umask",
}


@pytest.mark.parametrize("name", available())
def test_a_variation_varies_something(name: str) -> None:
    assert FACTS.keys() == VARIATIONS.keys()
    assert run_under([name], FACTS[name]) != run_under([], FACTS[name])


def test_a_release_has_the_same_bytes_under_all_variations_at_once(built: Path) -> None:
    names = available()
    assert len(names) >= 12
    (plain,) = json.loads(runner(built)("list", "--json").stdout)
    varied = release_under(names, built / "manifests" / "tiny.yaml")
    assert differing(json.loads(runner(built)("show", "tiny", "--json").stdout), varied) == []
    assert varied["digest"] == plain["digest"]
