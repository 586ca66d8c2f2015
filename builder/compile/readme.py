"""What a person reads first in a compiled build or a capsule, maybe in years and without tinsmith."""

from __future__ import annotations

from collections.abc import Sequence

from builder.compile.dockerfile import RELEASE, toolchains_of
from builder.compile.toolchain import BASE, stage, variable
from builder.digest import Digest
from builder.engine.image import image_tag
from builder.lock.model import Lock
from builder.manifest.model import Manifest
from builder.plan.step import Plan


def context_readme(manifest: Manifest, lock: Lock, plan: Plan, digest: Digest | None) -> str:
    """README.txt of a compiled build."""
    parts = [
        _title(f"{plan.name} {plan.version}: how to build it with Docker alone"),
        f"{manifest.release.description}\nLicence of the model: {manifest.release.license}\n",
        _what(lock, plan),
        _build(plan),
        _offline(plan),
        _result(plan, digest),
        _network(plan),
        _FILES,
    ]
    return "\n".join(parts)


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n"


def _what(lock: Lock, plan: Plan) -> str:
    kernels = any(toolchain.kernels_digest and not toolchain.image for toolchain in toolchains_of(plan))
    lines = [
        "This folder holds all that decides the bytes of the release: step code, requests, hashed lists of packages,",
        "the data. It was written by 'tinsmith compile', which is not needed to build it. What it takes from outside",
        "are base images, named by digest, and Python packages, named by hash. It runs on x86-64.",
    ]
    if kernels:
        lines.append("The training uses vector instructions: see train.cpu_class in requests/train.json.")
    size = sum(source.bytes for source in (lock.dataset, lock.init) if source is not None)
    if size:
        lines.append(f"The data are {size:,} bytes.")
    return "\n".join([*lines, ""])


def _build(plan: Plan) -> str:
    tag = f"{plan.name}:{plan.version}"
    return f"""\
To build
--------
With BuildKit (docker 23 or newer, or DOCKER_BUILDKIT=1):

    docker build --output out .

With the classic builder:

    docker build --tag {tag} .
    id="$(docker create {tag} none)"
    mkdir out && docker cp "$id:/{RELEASE}" out/
    docker rm "$id"
"""


def _offline(plan: Plan) -> str:
    used = toolchains_of(plan)
    builds = "\n".join(
        f"    docker build --target {stage(toolchain.name)} --tag {image_tag(toolchain)} ." for toolchain in used
    )
    return f"""\
To build with no network
------------------------
Only the toolchains take anything from the network. Once their images are there, nothing does:

{builds}
    docker build --network none --file offline.Dockerfile --output out .

(The last line with --tag in place of --output, and the three lines above, with the classic builder.)
"""


def _result(plan: Plan, digest: Digest | None) -> str:
    name = f"{plan.name}@{plan.version}"
    known = (
        f"This build is of a release that exists:\n\n    {name} {digest}\n\nThe digests must be the same."
        if digest is not None
        else f"A build of this folder by anyone, and of its manifest by tinsmith, gives {name} with the same digest."
    )
    return f"""\
What comes out
--------------
    out/{RELEASE}/files/       the model and all that is released with it
    out/{RELEASE}/oci/         the same as an OCI image layout, for registries and for tinsmith
    out/{RELEASE}/release.txt  name and digest: the SHA-256 of the release's OCI manifest
    out/{RELEASE}/SHA256SUMS   for 'sha256sum --check SHA256SUMS'

{known}
"""


def _network(plan: Plan) -> str:
    used = toolchains_of(plan)
    local = [toolchain for toolchain in used if (toolchain.image or toolchain.base_image).startswith("sha256:")]
    lines = [
        "Where something is in the way",
        "-----------------------------",
        "Own package index or certificates: put pip.conf, and ca.crt which it may name as /build/ca.crt, into",
        *(f"toolchains/{toolchain.name}/" for toolchain in used if toolchain.image is None),
        "They stay in a stage that nothing is released from.",
        "",
        "'Permission denied' in a step: it runs as nobody, and the files here must be open to all: chmod -R go+rX .",
        "",
        "Other base images: --build-arg "
        + ", ".join(f"{variable(BASE, toolchain.name)}=…" for toolchain in used)
        + ". Any with the same Python serves.",
    ]
    if local:
        names = ", ".join(variable(BASE, toolchain.name) for toolchain in local)
        lines += [
            "",
            f"{names}: the lock names local images by their ids. The classic builder takes them as they are; for",
            "BuildKit give the images a tag and name that.",
        ]
    return "\n".join([*lines, ""])


_FILES = """\
What is in this folder
----------------------
    Dockerfile          a stage for each toolchain, a stage for each step, one that lays out the release
    offline.Dockerfile  the same, with toolchain images that exist already
    toolchains/         hashed package lists and the training kernels' sources
    steps/              the code of the steps; each stage has only what its step uses
    requests/           what each step is asked
    data/               the data, by digest; absent where a step draws it
    static/             files of the release that were known before, such as its recipe
    release.json        name, version and annotations of the release, and the key of each step
    assemble/           lays out the release: Python's standard library and nothing else
    SHA256SUMS          of all files here: 'sha256sum --check --quiet SHA256SUMS'
"""


def capsule_readme(manifest: Manifest, plan: Plan, digest: Digest, images: Sequence[str], wheels: Sequence[str]) -> str:
    """README.txt of a capsule that holds ``images`` (their tags) and the packages of the toolchains ``wheels``."""
    name = f"{plan.name}@{plan.version}"
    parts = [
        _title(f"{name}: all that is needed to build it again, with no network"),
        f"{manifest.release.description}\nLicence of the model: {manifest.release.license}\n",
        f"The release, which lies in releases/ as it was made, is\n\n    {name} {digest}\n\n"
        "and every way below ends with that digest. It needs Linux on x86-64.\n",
        _with_images(plan, images) if images else "There are no Docker images in this capsule.\n",
        _with_wheels(plan, wheels) if wheels else "There are no Python packages in this capsule.\n",
        _CAPSULE,
    ]
    return "\n".join(parts)


def _with_images(plan: Plan, images: Sequence[str]) -> str:
    tag = f"{plan.name}:{plan.version}"
    listed = "\n".join(f"    {image}" for image in sorted(images))
    return f"""\
With Docker
-----------
    docker load --input images.tar
    docker build --network none --file context/offline.Dockerfile --tag {tag} context
    mkdir out
    id="$(docker create {tag} none)" && docker cp "$id:/{RELEASE}" out/ && docker rm "$id"
    cat out/{RELEASE}/release.txt

With BuildKit '--output out' in place of '--tag {tag}' is enough. images.tar holds the toolchains, and the base images
that context/Dockerfile makes them of:

{listed}
"""


def _with_wheels(plan: Plan, wheels: Sequence[str]) -> str:
    pythons = ", ".join(sorted({item.python for item in toolchains_of(plan) if item.name in wheels}))
    return f"""\
Without Docker
--------------
Python {pythons} must be there, on PATH or named with --python; then

    unshare --map-root-user --net python3 local.py built

builds in built/ what Docker does in out/{RELEASE}. ('unshare' only shows that no network is used.) The packages are in
wheels/, named and hashed in context/toolchains/*/requirements.lock.
"""


_CAPSULE = """\
What is in this folder
----------------------
    releases/    the release as an OCI image layout, with what was attached to it
    context/     the build as a Dockerfile, with step code and data; its README.txt says more
    images.tar   for 'docker load'; absent where it was left out
    wheels/      Python packages; absent where they were left out
    local.py     builds with the Pythons of this machine; local.json is its list of steps
    SHA256SUMS   of all files here: 'sha256sum --check --quiet SHA256SUMS'
"""
