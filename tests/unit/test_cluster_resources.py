"""What workers offer and steps demand, and the words for a step that no worker can take."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.cluster import machine
from builder.cluster.resources import AMPLE, demanded, fits, kinship, offered, toolchain, unplaceable
from builder.digest import Digest, digest_bytes
from builder.errors import NoEngine, UsageError
from builder.plan.step import Step, Toolchain

OLD, NEW = digest_bytes(b"old"), digest_bytes(b"new")


def step(*, image: str | None = None, memory_mb: int = 8192, requirements: Digest = NEW) -> Step:
    chain = Toolchain("tf1.15", "3.7", "base@sha256:0", requirements, OLD, OLD, image=image)
    return Step("train", "train", chain, {}, (), (), OLD, memory_mb=memory_mb)


def worker(
    memory_mb: float = 16000, *, docker: bool = False, requirements: Digest = NEW, **extra: float
) -> dict[str, float]:
    return offered(slots=1, memory_mb=memory_mb, docker=docker, toolchains={"tf1.15": requirements}, extra=extra)


def test_a_worker_offers_what_it_has_and_its_owner_has_the_last_word() -> None:
    assert offered(
        slots=2, memory_mb=4000.7, gpus=1, docker=True, toolchains={"litert": OLD}, extra={"license": 3.0, "gpu": 0.0}
    ) == {"slots": 2, "memory": 4000, "gpu": 0, toolchain("litert", OLD): AMPLE, "docker": AMPLE, "license": 3}


@pytest.mark.parametrize(
    ("known", "offers", "memory"),
    [
        (700.0, [], 700), (700.0, [4000.0], 700), (9999.0, [], 8192), (9999.0, [9000.0], 8192),
        # A step that ran in 6,000 MB runs where there are so many, though more would be safer.
        (7800.0, [7500.0, 4000.0], 7500), (7800.0, [5000.0], 7800), (9999.0, [8000.0], 8000),
    ],
)  # fmt: skip
def test_memory_that_is_demanded_beside_what_there_is(known: float, offers: list[float], memory: float) -> None:
    assert demanded(step(), known, {}, [worker(most) for most in offers])["memory"] == memory


def test_steps_go_only_to_workers_of_their_store_and_version() -> None:
    build = kinship("a" * 32, "1.0")
    for other, says in (
        (kinship("b" * 32, "1.0"), "the only worker does not use the store of the build"),
        (kinship("a" * 32, "0.9"), "the build has tinsmith 1.0, and the workers have 0.9"),
    ):
        offers = {"x": {**worker(), **other}}
        assert not fits(demanded(step(), 1.0, build), offers["x"])
        assert unplaceable(demanded(step(), 1.0, build), offers) == says
    assert fits(demanded(step(), 1.0, build), {**worker(), **build})


def test_a_step_demands_a_slot_its_memory_and_its_toolchain() -> None:
    assert demanded(step(), 700.0, {"gpu": 1.0}) == {"slots": 1, "memory": 700, "gpu": 1, toolchain("tf1.15", NEW): 1}


def test_a_step_in_an_image_of_its_own_demands_docker_and_no_toolchain() -> None:
    assert demanded(step(image="x@sha256:0"), 700.0, {}) == {"slots": 1, "memory": 700, "docker": 1}


@pytest.mark.parametrize(
    ("offers", "memory"),
    [
        ([], 8192),
        ([worker(16000)], 8192),
        ([worker(3000), worker(5000)], 5000),
        ([worker(3000), worker(5000, requirements=OLD)], 3000),
        ([worker(5000, requirements=OLD)], 8192),
    ],
    ids=["no worker", "enough", "the largest", "the largest with its toolchain", "none has its toolchain"],
)
def test_of_what_nothing_is_known_the_limit_or_the_largest_worker_is_taken(
    offers: list[dict[str, float]], memory: float
) -> None:
    assert demanded(step(), None, {}, offers)["memory"] == memory


def test_the_settings_come_before_what_is_known_or_not() -> None:
    assert demanded(step(), None, {"memory": 100.0}, [worker()])["memory"] == 100
    assert demanded(step(), 700.0, {"memory": 100.0})["memory"] == 100


def test_what_is_offered_amply_never_runs_out() -> None:
    left = AMPLE
    for _ in range(1000):
        left -= 1
    assert left + 1000 == AMPLE
    assert fits({"docker": 1.0}, {"docker": left})


@pytest.mark.parametrize(
    ("wanted", "extra", "offers", "says"),
    [
        (step(), {}, {}, "there is no worker"),
        (step(), {}, {"a": worker(requirements=OLD), "b": {"slots": 1.0, "memory": 9000.0}},
         f"toolchain tf1.15 is wanted in version {NEW[7:19]}, and the workers have {OLD[7:19]}"),
        (step(), {}, {"a": {"slots": 1.0, "memory": 9000.0}},
         f"the only worker does not have toolchain tf1.15 (version {NEW[7:19]})"),
        (step(image="x@sha256:0"), {}, {"a": worker(), "b": worker()},
         "an image of one's own needs the docker engine, which none of the 2 workers has"),
        (step(), {"memory": 9000.0}, {"a": worker(5000), "b": worker(7500)},
         "9,000 MB of memory is demanded, and the most that a worker offers is 7,500 (b)"),
        (step(), {"gpu": 1.0}, {"a": worker()}, "the only worker does not offer gpu, of which 1 is demanded"),
        (step(), {"license": 2.0, "memory": 20000.0}, {"a": worker(license=1.0)},
         "license 2 is demanded, and the most that a worker offers is 1 (a); "
         "20,000 MB of memory is demanded, and the most that a worker offers is 16,000 (a)"),
        (step(), {"gpu": 1.0, "memory": 9000.0}, {"a": worker(5000, gpu=1.0), "b": worker()},
         f"no worker offers all of this at once: gpu 1, 9,000 MB of memory, toolchain tf1.15 (version {NEW[7:19]})"),
        (step(), {}, {"a": worker(100), "b": worker()}, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_why_no_worker_can_take_a_step(
    wanted: Step, extra: dict[str, float], offers: dict[str, dict[str, float]], says: str
) -> None:
    assert unplaceable(demanded(wanted, 1000.0, extra), offers) == says


def files(root: Path, **texts: str) -> Path:
    places = {
        "meminfo": "proc/meminfo",
        "cgroup": "proc/self/cgroup",
        "inner": "sys/fs/cgroup/jobs/one/memory.max",
        "outer": "sys/fs/cgroup/jobs/memory.max",
        "old": "sys/fs/cgroup/memory/jobs/memory.limit_in_bytes",
    }
    for name, text in texts.items():
        path = root / places[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal:       16777216 kB\nMemFree:  1 kB\n"


@pytest.mark.parametrize(
    ("texts", "environ", "memory"),
    [
        ({}, {}, 16384),
        ({"cgroup": "0::/jobs/one\n", "inner": "max\n", "outer": str(4 << 30)}, {}, 4096),
        ({"cgroup": "0::/jobs/one\n", "inner": str(2 << 30), "outer": str(4 << 30)}, {}, 2048),
        ({"cgroup": "5:cpu,memory:/jobs\n0::/\n", "old": str(3 << 30)}, {}, 3072),
        ({}, {"SLURM_MEM_PER_NODE": "8000"}, 8000),
        ({}, {"SLURM_MEM_PER_CPU": "1000", "SLURM_CPUS_ON_NODE": "4"}, 4000),
        ({}, {"SLURM_MEM_PER_NODE": "much"}, 16384),
    ],
    ids=["machine", "cgroup around", "cgroup", "old cgroup", "slurm job", "slurm job by processor", "nonsense"],
)
def test_memory_is_the_least_of_what_limits_it(
    tmp_path: Path, texts: dict[str, str], environ: dict[str, str], memory: float
) -> None:
    found = machine.memory_mb(environ, files(tmp_path, meminfo=MEMINFO, **texts))
    assert found == memory - machine.RESERVED_MB


def test_a_machine_that_is_too_small_or_does_not_tell_its_memory(tmp_path: Path) -> None:
    with pytest.raises(NoEngine, match="does not tell"):
        machine.memory_mb({}, tmp_path)
    with pytest.raises(NoEngine, match="256 MB"):
        machine.memory_mb({}, files(tmp_path, meminfo="MemTotal: 262144 kB\n"))


def test_gpus_are_those_that_may_be_seen(tmp_path: Path) -> None:
    assert machine.gpus({}, tmp_path) == 0
    for card in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "proc/driver/nvidia/gpus" / card).mkdir(parents=True)
    assert machine.gpus({}, tmp_path) == 2
    assert machine.gpus({"CUDA_VISIBLE_DEVICES": "1"}, tmp_path) == 1
    assert machine.gpus({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == 0


def test_toolchains_are_those_that_are_shipped(tmp_path: Path) -> None:
    assert {"litert", "tf1.12", "tf1.15", "tf1.15-mkl"} == set(machine.toolchains([]))
    assert machine.toolchains(["litert"]) == {"litert": machine.toolchains([])["litert"]}
    with pytest.raises(UsageError, match=r"no toolchain is called 'tf1\.16'"):
        machine.toolchains(["tf1.16"])
