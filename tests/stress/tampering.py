"""``python -m tests.stress.tampering RELEASE``: bytes flipped, cut off and added in every file of a release.

In the store, in the layout and in a registry's own storage: every byte of small files (up to 16 KiB, in the registry
4 KiB), a thousand random ones of larger ones, and each file cut short, emptied and made longer. Each must be refused;
exit status 1 if a single one is not. Needs docker-registry. Figures for docs/trust.md.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from builder.digest import Digest, hex_of
from builder.errors import IntegrityError, StoreUnreachable, TinsmithError
from builder.registry.client import Registry
from builder.registry.credentials import anonymous
from builder.registry.offer import offer_in
from builder.registry.pull import fetching, find, into_folder
from builder.registry.push import push
from builder.registry.reference import Remote
from builder.registry.wire import Limits
from builder.release.layout import Layout
from builder.release.release import Blob, Release
from builder.store.disk import DiskStore
from tests.integration.conftest import TINSMITH, environment
from tests.registries import running

EVERY_BYTE_UP_TO = 16 << 10
IN_A_REGISTRY = 4 << 10
"""Each pull is a handful of requests: twenty milliseconds."""
SAMPLES, FEWER_SAMPLES = 1000, 250
Attempt = Callable[[], object]


def mutations(data: bytes, chance: random.Random, every_byte_up_to: int, samples: int) -> Iterator[tuple[str, bytes]]:
    """What becomes of ``data``: (kind, bytes)."""
    places = (
        range(len(data)) if len(data) <= every_byte_up_to else chance.sample(range(len(data)), min(len(data), samples))
    )
    for place in places:
        flipped = data[place] ^ chance.randrange(1, 256)
        yield "flipped", data[:place] + bytes([flipped]) + data[place + 1 :]
    for length in {0, len(data) // 2, max(0, len(data) - 1)}:
        yield "truncated", data[:length]
    yield "appended", data + b"\0"
    yield "appended", data + data


class Tampering:
    """Counts what was tried; ``accepted`` names what was not refused."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.tried: Counter[tuple[str, str]] = Counter()
        self.accepted: list[str] = []
        self._begun = time.monotonic()

    def say(self, where: str, text: str) -> None:
        counts = ", ".join(f"{count:,} {what}" for (place, what), count in sorted(self.tried.items()) if place == where)
        print(f"{time.monotonic() - self._begun:6.0f}s  {where}: {text}; {counts}", flush=True)

    def on(
        self,
        where: str,
        path: Path,
        attempt: Attempt,
        refusals: tuple[type[TinsmithError], ...],
        every_byte_up_to: int = EVERY_BYTE_UP_TO,
        samples: int = SAMPLES,
    ) -> None:
        """Every mutation of the file at ``path``, which ``attempt`` must refuse; whole again it must be accepted."""
        whole, mode = path.read_bytes(), path.stat().st_mode
        attempt()
        for kind, data in mutations(whole, self.chance, every_byte_up_to, samples):
            path.unlink(missing_ok=True)
            path.write_bytes(data)
            self.tried[where, kind] += 1
            try:
                attempt()
                self.accepted.append(f"{where}: {path.name}: {kind}")
            except refusals as error:
                self.tried[where, f"exit {error.exit_status}"] += 1
        path.unlink(missing_ok=True)
        path.write_bytes(whole)
        path.chmod(mode)
        attempt()


def in_layout(test: Tampering, layout: Layout, release: Release) -> None:
    def attached() -> None:
        for item in layout.attachments(layout.find(release.ref)):
            layout.read_attachment(item)

    found = [(Blob(release.digest, release.size), lambda: layout.find(release.ref))]
    found.append((release.config, lambda: layout.blob(release.config)))
    found += [(Blob(*release.files[title]), lambda title=title: layout.read(release, title)) for title in release.files]
    for item in layout.attachments(release):
        found += [(Blob(item.manifest, 0), attached), (Blob(item.digest, item.size), attached)]
    for blob, attempt in found:
        test.on("layout", layout.blob_path(blob.digest), attempt, (IntegrityError,))
    test.say("layout", f"{len(found)} files")


def in_store(test: Tampering, root: Path, release: Release) -> None:
    store, count = DiskStore(root), 0
    for digest, _ in dict.fromkeys(release.files.values()):
        path = root / "blobs" / "sha256" / hex_of(digest)
        if path.exists():  # the recipe and what else the control plane writes is in no step's result
            test.on("store", path, lambda digest=digest: store.read(digest), (IntegrityError,))
            count += 1
    test.say("store", f"{count} files")


def in_registry(test: Tampering, layout: Layout, release: Release, scratch: Path) -> None:
    scratch.mkdir()
    quick = Limits(first_wait=0.001, longest_wait=0.01)
    with running(scratch) as server, Registry(server.host, lookup=anonymous, limits=quick) as registry:
        remote = Remote(server.host, f"tampered/{release.name}", release.version)
        push(layout, offer_in(layout, release), remote, registry, _ignore)

        def look() -> None:
            find(registry, remote)

        def fetch(title: str) -> None:
            offer, folder = find(registry, remote), scratch / "app"
            with tempfile.TemporaryDirectory(dir=scratch) as parts:
                try:
                    with fetching(registry, remote.repository, Path(parts), _ignore) as get:
                        into_folder(offer, folder, get, [title])
                    assert (folder / title).read_bytes() == layout.read(release, title)
                finally:
                    subprocess.run(["rm", "-rf", str(folder)], check=True)

        def stored(digest: Digest) -> Path:
            return server.blobs / "sha256" / hex_of(digest)[:2] / hex_of(digest) / "data"

        found: list[tuple[Path, Attempt]] = [(stored(release.digest), look)]
        found += [(stored(release.files[title][0]), lambda title=title: fetch(title)) for title in release.files]
        for item in layout.attachments(release):
            found += [(stored(item.manifest), look), (stored(item.digest), look)]
        for path, attempt in found:
            # A manifest that is no JSON any more the registry does not give at all: exit 8, and nothing is written.
            samples = SAMPLES if path == stored(release.files["model.tflite"][0]) else FEWER_SAMPLES
            test.on("registry", path, attempt, (IntegrityError, StoreUnreachable), IN_A_REGISTRY, samples)
        test.say("registry", f"{len(found)} files")


def on_the_command_line(test: Tampering, layout: Layout, release: Release, scratch: Path, times: int) -> None:
    """A few of them as a user meets them."""
    for number in range(times):
        title = test.chance.choice(sorted(release.files))
        path = layout.blob_path(release.files[title][0])
        whole = path.read_bytes()
        kind, data = test.chance.choice(list(mutations(whole, test.chance, 0, 10)))
        path.write_bytes(data)
        words = ["pull", release.ref, str(scratch / f"app{number}"), "--releases", str(layout.root)]
        words += ["--allow-unsigned"]  # else it would be refused for want of a rule, whatever its bytes
        done = subprocess.run([*TINSMITH, *words], env=environment(), capture_output=True, text=True, check=False)
        path.write_bytes(whole)
        test.tried["command line", f"exit {done.returncode}"] += 1
        if done.returncode != 7 or (scratch / f"app{number}").exists():
            test.accepted.append(f"command line: {title} {kind}: exit {done.returncode}")
    test.say("command line", f"{times} pulls")


def _ignore(kind: str, detail: object) -> None:
    pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", help="name@version in --releases")
    parser.add_argument("--releases", type=Path, default=Path("releases"))
    parser.add_argument("--store", type=Path, default=Path(".tinsmith/store"))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    test = Tampering(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="tinsmith-tampering-") as folder:
        scratch = Path(folder)
        # Copies: an interrupted run leaves the user's own as they were.
        for source, name in ((arguments.releases, "releases"), (arguments.store, "store")):
            subprocess.run(["cp", "-a", str(source), str(scratch / name)], check=True)
        layout = Layout(scratch / "releases")
        release = layout.find(arguments.release)
        in_layout(test, layout, release)
        in_store(test, scratch / "store", release)
        in_registry(test, layout, release, scratch / "registry")
        on_the_command_line(test, layout, release, scratch, 50)
    print(f"{'not refused':24} {len(test.accepted):8,}")
    print("\n".join(test.accepted[:20]))
    return 1 if test.accepted else 0


if __name__ == "__main__":
    sys.exit(main())
