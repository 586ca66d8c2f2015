"""``python -m tests.stress.variations``: one manifest built under reprotest's variations, compared by sha256.

Each variation changes one thing that a build must not depend on; ``--each`` tries them one at a time after all at once.
Needs root; ``time`` needs Debian's faketime and ``fileordering`` its disorderfs, and without them these two are said
to be missing. Exit status 1 if a single file of the release differs. Figures for docs/reproducibility.md.

Source: https://reproducible-builds.org/tools (reprotest 0.7, its list of variations).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.settings import cache_folder
from tests.integration.conftest import ROOT, TINSMITH, environment

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
PRELOAD, CLOCK = Path("/etc/ld.so.preload"), Path("/etc/faketimerc")


@dataclass
class Conditions:
    """How a build is run: ``root`` is the project's folder; ``mounts`` are shell lines of its mount namespace."""

    root: Path
    scratch: Path
    env: dict[str, str] = field(default_factory=dict)
    mounts: list[str] = field(default_factory=list)
    under: list[str] = field(default_factory=list)
    umask: str = "0022"


def _environment(build: Conditions) -> None:
    build.env.update(CAPTURE_ENVIRONMENT="1", OMP_NUM_THREADS="7", PYTHONHASHSEED="17", TF_CPP_MIN_LOG_LEVEL="0")


def _build_path(build: Conditions) -> None:
    # The project and the toolchains at other paths; a bind mount, as installing the toolchains again takes a minute.
    build.root = build.scratch / "another" / "place" / "of-the-project"
    cache = build.scratch / "another" / "cache"
    cache.mkdir(parents=True)
    build.mounts.append(f"mount --bind {shlex.quote(str(cache_folder()))} {shlex.quote(str(cache))}")
    build.env["TINSMITH_CACHE"] = str(cache)


def _kernel(build: Conditions) -> None:
    build.under += ["setarch", "--uname-2.6"]


def _aslr(build: Conditions) -> None:
    build.under += ["setarch", "--addr-no-randomize"]


def _num_cpus(build: Conditions) -> None:
    build.under += ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]


def _time(build: Conditions) -> None:
    # By the loader's own configuration: a step gets no variables from outside.
    (build.scratch / "preload").write_text(f"{FAKETIME}\n")
    (build.scratch / "clock").write_text("+398d\n")
    for name, path in (("preload", PRELOAD), ("clock", CLOCK)):
        build.mounts.append(f"mount --bind {shlex.quote(str(build.scratch / name))} {path}")


def _user_group(build: Conditions) -> None:
    build.under += ["unshare", "--user", "--map-user=1234", "--map-group=2345"]


def _fileordering(build: Conditions) -> None:
    below = build.scratch / "ordered"
    below.mkdir()
    where = f"{shlex.quote(str(below))} {shlex.quote(str(build.root))}"
    build.mounts.append(f"mkdir -p {shlex.quote(str(build.root))}")
    build.mounts.append(
        f"disorderfs --quiet --multi-user=yes --shuffle-dirents=yes --sort-dirents=no --pad-blocks=1 {where} >&2"
    )


def _host(build: Conditions) -> None:
    build.mounts.append("hostname another-host")


def _home(build: Conditions) -> None:
    (build.scratch / "home").mkdir()
    # The caches of a user lie below the home folder unless they are named.
    build.env.setdefault("TINSMITH_CACHE", str(cache_folder()))
    build.env["HOME"] = str(build.scratch / "home")


def _locales(build: Conditions) -> None:
    build.env.update(LANG="fr_CH.UTF-8", LC_ALL="fr_CH.UTF-8", LANGUAGE="fr_CH:fr")


def _exec_path(build: Conditions) -> None:
    build.env["PATH"] = f"{os.environ['PATH']}:/i_capture_the_path"


def _timezone(build: Conditions) -> None:
    build.env["TZ"] = "GMT-14"


def _umask(build: Conditions) -> None:
    build.umask = "0002"


# In the order they are laid: paths before what is mounted over them.
VARIATIONS = {
    "environment": (_environment, "other variables, among them some that Python, OpenMP and TensorFlow read"),
    "build_path": (_build_path, "project and toolchains in other folders"),
    "home": (_home, "another, empty HOME"),
    "kernel": (_kernel, "uname says 2.6 (setarch)"),
    "aslr": (_aslr, "addresses not randomised (setarch)"),
    "num_cpus": (_num_cpus, "one processor (taskset)"),
    "time": (_time, "the clock 398 days ahead, in the steps too (libfaketime by ld.so.preload)"),
    "user_group": (_user_group, "user 1234, group 2345 (user namespace)"),
    "fileordering": (_fileordering, "folders listed in random order (disorderfs)"),
    "host": (_host, "another host name (UTS namespace)"),
    "locales": (_locales, "fr_CH.UTF-8"),
    "exec_path": (_exec_path, "one more folder in PATH"),
    "timezone": (_timezone, "GMT-14"),
    "umask": (_umask, "0002 in place of 0022"),
}


def available() -> list[str]:
    """The variations that this machine can make."""
    lacking = set()
    if not FAKETIME.exists():
        lacking.add("time")
    if not shutil.which("disorderfs") or not Path("/dev/fuse").exists():
        lacking.add("fileordering")
    return [name for name in VARIATIONS if name not in lacking]


def release_under(names: Sequence[str], manifest: Path) -> dict[str, Any]:
    """Builds ``manifest`` with its lock under the variations ``names``; what ``tinsmith show --json`` says of it."""
    files = shlex.join([str(manifest), str(manifest.with_suffix(".lock"))])
    found: dict[str, Any] = json.loads(
        run_under(
            names,
            "mkdir manifests",
            f"cp {files} manifests",
            shlex.join([*TINSMITH, "build", f"manifests/{manifest.name}", "--engine", "local"]) + " >&2",
            shlex.join([*TINSMITH, "show", "--json", manifest.stem]),
        )
    )
    return found


def run_under(names: Sequence[str], *lines: str) -> str:
    """What the shell ``lines`` print when run in a new folder under the variations ``names``."""
    with tempfile.TemporaryDirectory(prefix="tinsmith-variations-") as folder:
        build = Conditions(root=Path(folder) / "project", scratch=Path(folder))
        for name, (vary, _) in VARIATIONS.items():
            if name in names:
                vary(build)
        for path in (PRELOAD, CLOCK) if "time" in names else ():
            path.touch()
        root = shlex.quote(str(build.root))
        # In a shell of its own after the mounts, so that it runs as another user, on one processor …
        inner = "\n".join([f"mkdir -p {root}", f"cd {root}", f"umask {build.umask}", *lines])
        outer = "\n".join([*build.mounts, shlex.join([*build.under, "sh", "-euc", inner])])
        done = subprocess.run(
            ["unshare", "--mount", "--uts", "sh", "-euc", outer],
            env={**environment(), **build.env},
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (PRELOAD, CLOCK) if "time" in names else ():
            if path.stat().st_size == 0:
                path.unlink()
        if done.returncode != 0:
            raise RuntimeError(f"it failed under {', '.join(names) or 'no variation'}:\n{done.stderr[-4000:]}")
        return done.stdout


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The files of two releases that are not the same, and their digests if those are not."""
    files = {**one["files"], **other["files"]}
    found = [title for title in sorted(files) if one["files"].get(title) != other["files"].get(title)]
    return found + (["release digest"] if one["digest"] != other["digest"] else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, default=ROOT / "manifests" / "shapes.yaml")
    parser.add_argument("--each", action="store_true", help="then each variation by itself")
    parser.add_argument("--only", nargs="*", choices=VARIATIONS, help="these variations")
    arguments = parser.parse_args()
    manifest = arguments.manifest.resolve()
    names = [name for name in (arguments.only or VARIATIONS) if name in available()]
    for name in set(arguments.only or VARIATIONS) - set(names):
        print(f"{name:14} cannot be varied on this machine")
    reference = release_under([], manifest)
    print(f"reference      {reference['digest']}, {len(reference['files'])} files", flush=True)
    wrong = 0
    for varied in [names, *([name] for name in names if arguments.each)]:
        what = varied[0] if len(varied) == 1 else f"all {len(varied)}"
        found = differing(reference, release_under(varied, manifest))
        print(f"{what:14} {'same' if not found else 'DIFFERENT: ' + ', '.join(found)}", flush=True)
        wrong += bool(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
