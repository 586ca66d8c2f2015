"""A build by two hosts of their own networks, one of which dies in the middle of the training, as does the scheduler.

``python -m tests.stress.cluster`` does it with four hosts, eight variants and thirty kills.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from builder.errors import IntegrityError
from tests.cluster import matrix
from tests.cluster.cluster import Cluster
from tests.cluster.lacking import NoHosts
from tests.cluster.replay import replaying
from tests.cluster.watch import ResultsWatch

_LONGEST_SECONDS = 400.0
"""For anything to happen: on two idle cores a build takes one minute."""

pytestmark = pytest.mark.toolchain


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Skips where hosts cannot be made, or fails if TINSMITH_REQUIRE_NETNS is set."""
    with ExitStack() as stack:
        try:
            made = stack.enter_context(Cluster(2, 1.0, folder=tmp_path / "rack", env={"TINSMITH_STORE_PATIENCE": "30"}))
        except NoHosts as error:
            if os.environ.get("TINSMITH_REQUIRE_NETNS"):
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield made


@pytest.fixture(scope="module")
def reference(built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Two variants of the tiny manifest, built on this machine by the local engine; release -> digest."""
    folder = tmp_path_factory.mktemp("reference")
    project = matrix.project(folder / "project", 2)
    shutil.copytree(built / ".tinsmith" / "store", folder / "store")  # they share its training
    return project, matrix.built_on_one_machine(project, folder / "store")


def test_a_host_dies_in_mid_training_and_the_scheduler_after_it(
    cluster: Cluster, reference: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    project, digests = reference
    cluster.work_for("matrix")
    with ResultsWatch(cluster.objects) as results:
        building = cluster.build(matrix.copied(project, tmp_path / "project"))
        first = building.wait_for(lambda event: event["kind"] == "started" and event["step"] == "train", 300)
        while not list(cluster.objects.glob("checkpoints/*/step-*.checkpoint")):
            assert building.running, building.last()
            time.sleep(0.02)
        (dying,) = [worker for worker in cluster.workers if worker.host.name == first["detail"]["worker"]]
        assert dying.host.kill() >= 3  # the supervisor, its child, the training
        goes_on = building.wait_for(lambda event: "going on from step" in str(event["detail"].get("text")), 300)
        assert goes_on["detail"]["worker"] != dying.host.name
        cluster.scheduler.kill()
        dying.start()
        cluster.scheduler.start()
        assert building.wait(600) == 0, building.last()
    assert building.releases() == digests
    assert results.broken + results.lacking(matrix.step_keys(project)) == []
    finished = {event["detail"]["worker"] for event in building.events if event["kind"] == "finished"}
    assert finished == {worker.host.name for worker in cluster.workers}


def test_a_worker_that_uploads_wrong_bytes_is_dropped(
    cluster: Cluster, reference: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    project, digests = reference
    store = project.with_name("store")
    # The steps are played back: what they do is not the matter here.
    cluster.work_for("poisoned", {0: replaying(store, poisoned=True), 1: replaying(store)})
    bad, honest = cluster.workers
    with ResultsWatch(cluster.objects, aside=True) as results:
        building = cluster.build(matrix.copied(project, tmp_path / "project"))
        assert building.wait(600) == 0, building.last()
    assert building.releases() == digests
    released = [key for key, step in matrix.step_keys(project).items() if step == "package"]
    assert results.broken + results.lacking(released) == []
    assert bad.process is not None and bad.process.wait(30) == IntegrityError.exit_status, bad.text()
    assert honest.running, honest.text()
    assert list((cluster.objects / "damaged").iterdir())
