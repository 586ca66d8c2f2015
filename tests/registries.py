"""A real registry (Debian's docker-registry) for tests, and releases of random bytes to put into it."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from builder.release.layout import Layout
from builder.release.release import Release

PROVENANCE = "application/vnd.in-toto.provenance+dsse"
RUN = "application/vnd.tinsmith.run.v1+json"


def required(*programs: str) -> None:
    """Skips where one of ``programs`` is missing, or fails if TINSMITH_REQUIRE_REGISTRY is set."""
    for program in programs:
        if shutil.which(program) is None:
            message = f"{program} is not on PATH (Debian: .ci/registry installs it)"
            if os.environ.get("TINSMITH_REQUIRE_REGISTRY"):
                pytest.fail(message)
            pytest.skip(message)


class Running:
    """A registry that answers at ``host``, with its storage in ``storage``."""

    def __init__(self, host: str, storage: Path) -> None:
        self.host, self.storage = host, storage

    @property
    def blobs(self) -> Path:
        return self.storage / "docker" / "registry" / "v2" / "blobs"

    def files(self) -> list[Path]:
        return sorted(path for path in self.storage.rglob("*") if path.is_file())


@contextmanager
def running(folder: Path, auth: Mapping[str, Any] | None = None) -> Iterator[Running]:
    """``docker-registry serve`` on a free port of this machine until the block ends."""
    for _ in range(5):
        port = free_port()
        config = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{port}", "secret": "for tests"},
            **({"auth": auth} if auth else {}),
        }
        (folder / "config.yml").write_text(json.dumps(config))
        with (folder / "registry.log").open("ab") as log:
            process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
        try:
            if _answers(port, process):
                yield Running(f"127.0.0.1:{port}", folder / "storage")
                return
        finally:
            process.terminate()
            process.wait()
    raise AssertionError((folder / "registry.log").read_text()[-2000:])


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    for _ in range(500):
        if process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 401
        except OSError:
            time.sleep(0.02)
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def some_files(chance: random.Random, kilobytes: int = 40) -> dict[str, bytes]:
    """Files as a release has them, of random bytes."""
    return {
        "model.tflite": chance.randbytes(kilobytes * 700),
        "labels.txt": b"raccoon\n",
        "metadata.json": b'{"schema":1}',
        "metrics.json": json.dumps({"seed": chance.random()}).encode(),
        "golden/0.png": chance.randbytes(kilobytes * 100),
        "golden/1.png": chance.randbytes(kilobytes * 100),
        "checkpoint/model.ckpt.data": chance.randbytes(kilobytes * 1500),
        "recipe.tar": chance.randbytes(kilobytes * 50),
    }


def release_in(
    layout: Layout, version: str = "1.0.0", name: str = "raccoon", seed: int = 1, attachments: int = 2
) -> Release:
    """A release of random files with ``attachments`` things attached."""
    chance = random.Random(f"{name} {version} {seed}")
    release, _ = layout.add(name, version, some_files(chance), {"org.opencontainers.image.licenses": "MIT"})
    for number in range(attachments):
        kind, title = ((RUN, "run.json"), (PROVENANCE, "provenance.json"))[number % 2]
        layout.attach(release, kind, title, json.dumps({"number": number, "noise": chance.random()}).encode())
    return release


def contents(layout: Layout) -> dict[str, Any]:
    """Everything a layout says of its releases: digests, files, attachments, with their bytes."""
    return {
        release.ref: {
            "digest": release.digest,
            "files": {title: layout.read(release, title) for title in release.files},
            "attached": sorted(
                (item.artifact_type, item.title, item.manifest, layout.read_attachment(item))
                for item in layout.attachments(release)
            ),
        }
        for release in layout.releases()
    }
