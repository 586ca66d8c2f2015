"""The image of a toolchain: built once by the classic builder, or pulled, known by the digest it carries."""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from builder.digest import digest_file, hex_of
from builder.engine.base import Emit
from builder.engine.virtualenv import checked_kernels, checked_requirements
from builder.errors import IntegrityError, LockError, NoEngine
from builder.kernels import KERNELS
from builder.plan.step import Toolchain

TOOLCHAIN_LABEL = "tinsmith.toolchain"
_TAIL = 15
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def image_tag(toolchain: Toolchain) -> str:
    return f"tinsmith/{toolchain.name}:{hex_of(toolchain.digest)[:16]}"


def ensure_image(
    client: docker.DockerClient, toolchain: Toolchain, folder: Path, reference: str | None, emit: Emit
) -> str:
    """The id of the toolchain's image, which is there already, pulled from ``reference`` or built.

    Only an image whose label is the whole toolchain digest counts, unless the toolchain names an image of the user's
    own, which its digest covers. ``folder`` holds Dockerfile and lock.
    """
    if toolchain.image is not None:
        return _own(client, toolchain.image, emit)
    tag = image_tag(toolchain)
    if found := _labelled(client, tag, toolchain):
        return found
    if reference is not None:
        _pull(client, reference, emit)
        if found := _labelled(client, reference, toolchain):
            return found
        raise IntegrityError(f"{reference} is not the image of toolchain {toolchain.digest}")
    _build(client, toolchain, folder, tag, emit)
    found = _labelled(client, tag, toolchain)
    assert found, f"{tag} was built without its label"
    return found


def _own(client: docker.DockerClient, reference: str, emit: Emit) -> str:
    """The id of the user's image ``reference``, a local id or a name with a digest, pulled if it is not here."""
    try:
        return str(client.images.get(reference).id)
    except ImageNotFound:
        if reference.startswith("sha256:"):
            raise NoEngine(
                f"this engine has no image {reference}",
                help="name it as host/repository@sha256:… in toolchain.image, so that it can be pulled",
                code="no-toolchain",
            ) from None
    return _pull(client, reference, emit)


def _pull(client: docker.DockerClient, reference: str, emit: Emit) -> str:
    """The id of the image; NoEngine if it cannot be had."""
    emit("message", {"text": f"pulling {reference}"})
    try:
        return str(client.images.pull(reference).id)
    except APIError as error:
        raise NoEngine(f"cannot pull {reference}: {error.explanation}", code="no-toolchain") from error


def _labelled(client: docker.DockerClient, name: str, toolchain: Toolchain) -> str | None:
    try:
        image = client.images.get(name)
    except ImageNotFound:
        return None
    return image.id if image.labels.get(TOOLCHAIN_LABEL) == toolchain.digest else None


def _build(client: docker.DockerClient, toolchain: Toolchain, folder: Path, tag: str, emit: Emit) -> None:
    context = build_context(toolchain, folder, os.environ)
    emit("message", {"text": f"building image {tag} from {toolchain.base_image}"})
    lines: list[str] = []
    try:
        for said in client.api.build(
            fileobj=io.BytesIO(context),
            custom_context=True,
            tag=tag,
            rm=True,
            forcerm=True,
            decode=True,
            buildargs={"BASE_IMAGE": toolchain.base_image, **_proxies(os.environ)},
            labels={TOOLCHAIN_LABEL: toolchain.digest},
        ):
            lines += _lines(said)
            for line in _lines(said):
                emit("log", {"line": line, "stream": "stdout"})
            if "error" in said:
                raise _not_built(toolchain, lines)
    except DockerException as error:
        raise _not_built(toolchain, [*lines, str(error)]) from error


def _not_built(toolchain: Toolchain, lines: list[str]) -> NoEngine:
    return NoEngine(
        "\n    ".join([f"the image of toolchain {toolchain.name} cannot be built:", *lines[-_TAIL:]]),
        help="another base image can be locked: tinsmith lock --base-image "
        f"{toolchain.name}=REF; or use --engine local",
        code="no-toolchain",
    )


def _lines(said: Mapping[str, Any]) -> list[str]:
    text = _COLOUR.sub("", str(said.get("stream") or said.get("error") or ""))
    return [line for line in text.splitlines() if line.strip()]


def build_context(toolchain: Toolchain, folder: Path, environ: Mapping[str, str]) -> bytes:
    """A tar with Dockerfile, lock and, where this machine's pip needs them, its settings and certificates.

    LockError if a file is not the locked one.
    """
    dockerfile = folder / "Dockerfile"
    if not dockerfile.is_file() or digest_file(dockerfile) != toolchain.dockerfile_digest:
        raise LockError(
            f"{dockerfile} is not what the lock was made for",
            help="run 'tinsmith lock' again, or restore the file",
            code="stale-toolchain",
        )
    files = {
        "Dockerfile": dockerfile.read_bytes(),
        "requirements.lock": checked_requirements(toolchain, folder).read_bytes(),
    }
    for name, data in checked_kernels(toolchain, folder).items():
        files[f"{KERNELS}/{name}"] = data
    settings = dict(_pip_settings(environ))
    bundle = environ.get("PIP_CERT") or environ.get("REQUESTS_CA_BUNDLE") or environ.get("SSL_CERT_FILE")
    if bundle and Path(bundle).is_file():
        files["ca.crt"] = Path(bundle).read_bytes()
        settings["cert"] = "/build/ca.crt"
    if settings:
        lines = ["[global]", *(f"{key} = {value}" for key, value in settings.items())]
        files["pip.conf"] = "\n".join([*lines, ""]).encode()
    return _tar(files)


def _pip_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in ("index-url", "extra-index-url", "trusted-host", "default-timeout"):
        if value := environ.get("PIP_" + name.upper().replace("-", "_")):
            yield name, value


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Proxy variables are known to the builder and stay out of the image."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    return {key: value for key, value in environ.items() if key.upper() in names}


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
