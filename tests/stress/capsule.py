"""``python -m tests.stress.capsule [CAPSULE.tar]``: builds from a capsule where there is no network, and compares.

Without an argument a capsule of the tests' tiny manifest is made first. It is unpacked, checked with sha256sum, and
built in both ways of its README: with images, in a Docker daemon started for this alone, which has no image, no bridge
and no way out; and with wheels, in a network namespace with nothing in it. Needs root, dockerd and Python 3.7 and 3.11.
Exit status 1 if a digest is not that of the release.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from builder.engine.interpreter import find_interpreter
from tests.fakes import Events
from tests.integration.conftest import TINSMITH, environment, project


@contextmanager
def lonely_daemon(folder: Path) -> Iterator[str]:
    """The address of a Docker daemon that has nothing: it is not asked to keep anything, or to reach anyone."""
    address = f"unix://{folder}/docker.sock"
    words = ["dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "-H", address]
    words += ["--pidfile", f"{folder}/docker.pid", "--bridge=none", "--iptables=false", "--ip6tables=false"]
    with (folder / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(["unshare", "--net", *words], stdout=log, stderr=log)
        try:
            for _ in range(120):
                if (folder / "docker.sock").exists() or daemon.poll() is not None:
                    break
                time.sleep(0.5)
            yield address
        finally:
            daemon.terminate()
            daemon.wait(60)


def with_images(capsule: Path, scratch: Path, address: str, *, buildkit: bool) -> str:
    """release.txt of a build from images.tar and context/ in the daemon at ``address``."""
    environ = {**os.environ, "DOCKER_HOST": address, "DOCKER_BUILDKIT": "1" if buildkit else "0"}
    file = "context/offline.Dockerfile"
    out = scratch / f"out-{'buildkit' if buildkit else 'classic'}"
    out.mkdir()

    def docker(*words: str) -> str:
        return run(["/usr/bin/docker", *words], capsule, environ)

    if buildkit:
        docker("build", "--network", "none", "--file", file, "--output", str(out), "context")
    else:
        docker("build", "--network", "none", "--file", file, "--tag", "again", "context")
        container = docker("create", "again", "none")
        docker("cp", f"{container}:/release", f"{out}/")
    return (out / "release" / "release.txt").read_text()


def with_wheels(capsule: Path, scratch: Path) -> str:
    """release.txt of a build by local.py."""
    needed = json.loads((capsule / "local.json").read_text())["toolchains"].values()
    pythons = [str(find_interpreter(version, Events())) for version in sorted({item["python"] for item in needed})]
    named = [word for python in pythons for word in ("--python", python)]
    command = ["unshare", "--net", sys.executable, "local.py", str(scratch / "out-local"), *named]
    run(command, capsule, {"PATH": os.environ["PATH"], "HOME": str(scratch)})
    return (scratch / "out-local" / "release.txt").read_text()


def sources(capsule: Path) -> list[str]:
    """Words that name the data of a capsule for ``tinsmith rebuild``."""
    with tarfile.open(capsule / "context" / "static" / "recipe.tar") as recipe:
        stream = recipe.extractfile("lock.json")
        assert stream is not None
        lock = json.load(stream)
    found = [item for item in (lock.get("dataset"), lock.get("init")) if item]
    folder = capsule / "context" / "data"
    return [word for item in found for word in ("--source", f"{item['name']}={folder / item['digest'][7:]}")]


def run(command: Sequence[str], folder: Path, environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout.strip()


def made(folder: Path) -> Path:
    """A capsule of the tiny manifest, built by the engine that answers."""
    tinsmith = project(folder)
    tinsmith("build", "manifests/tiny.yaml")
    tinsmith("capsule", "tiny", "-o", "tiny.tar", "--trust-recipe")
    return folder / "tiny.tar"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capsule", type=Path, nargs="?")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tinsmith-capsule-") as place:
        scratch = Path(place)
        tar = options.capsule.resolve() if options.capsule else made(scratch)
        run(["tar", "xf", str(tar), "-C", place], scratch)
        (capsule,) = [path.parent for path in scratch.glob("*/local.py")]
        run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], capsule)
        index = json.loads((capsule / "releases" / "index.json").read_text())
        (release,) = [entry["digest"] for entry in index["manifests"] if "artifactType" in entry]
        print(f"{tar.name}: {tar.stat().st_size / 1e6:,.0f} MB, release {release}", flush=True)
        wrong = 0

        def compare(what: str, begun: float, line: str) -> None:
            nonlocal wrong
            same = line.split()[1] == release
            wrong += not same
            print(
                f"{what:24} {time.monotonic() - begun:4.0f} s  {'the same' if same else 'ANOTHER: ' + line}", flush=True
            )

        begun = time.monotonic()
        compare("wheels, no network", begun, with_wheels(capsule, scratch))
        daemon = scratch / "daemon"
        daemon.mkdir()
        with lonely_daemon(daemon) as address:
            begun = time.monotonic()
            run(["/usr/bin/docker", "load", "--input", "images.tar"], capsule, {**os.environ, "DOCKER_HOST": address})
            print(f"{'docker load':24} {time.monotonic() - begun:4.0f} s", flush=True)
            for buildkit in (False, True):
                begun = time.monotonic()
                what = f"images, {'BuildKit' if buildkit else 'classic builder'}"
                compare(what, begun, with_images(capsule, scratch, address, buildkit=buildkit))
            begun = time.monotonic()
            words = ["rebuild", release, "--engine", "docker", "--trust-recipe", *sources(capsule)]
            told = run([*TINSMITH, *words], capsule, {**environment(), "DOCKER_HOST": address})
            compare("images, tinsmith rebuild", begun, f"rebuilt {told.split()[-1]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
