"""The images of a build's toolchains, and those that they are built from, as one ``docker load`` takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound

from builder.engine.base import Emit
from builder.engine.container import ENGINE_ERRORS
from builder.engine.image import ensure_image, image_tag
from builder.errors import NoEngine
from builder.plan.step import Toolchain

_BLOCK = 1 << 20


def base_tag(toolchain: Toolchain) -> str:
    """A name for the base image: ``docker load`` forgets the digests that images were pulled by."""
    return f"tinsmith/base-{toolchain.name}:{toolchain.base_image.rpartition('sha256:')[2][:16]}"


def ready_images(
    client: docker.DockerClient, toolchains: Sequence[Toolchain], folders: Callable[[str], Path], emit: Emit
) -> dict[str, int]:
    """Tag -> size in bytes of every image, which is here now: built, pulled, tagged. NoEngine if one cannot be had."""
    sizes = {}
    for toolchain in toolchains:
        found = ensure_image(client, toolchain, folders(toolchain.name), None, emit)
        named = {image_tag(toolchain): found}
        if toolchain.image is None:
            named[base_tag(toolchain)] = _base(client, toolchain.base_image, emit)
        for tag, name in named.items():
            image = client.images.get(name)
            image.tag(tag)
            sizes[tag] = int(image.attrs["Size"])
    return sizes


def saved(client: docker.DockerClient, tags: Sequence[str]) -> Iterator[bytes]:
    """The tar of ``docker save`` of all ``tags``, in blocks; layers that they share are in it once."""
    url = f"{client.api.base_url}/v{client.api.api_version}/images/get"
    try:
        with client.api.get(url, params={"names": sorted(tags)}, stream=True) as answer:
            answer.raise_for_status()
            yield from answer.iter_content(_BLOCK)
    except ENGINE_ERRORS as error:
        raise NoEngine(
            f"the Docker engine does not give its images: {error}",
            help="run the command again, or with --no-images",
            code="no-images",
        ) from error


def _base(client: docker.DockerClient, reference: str, emit: Emit) -> str:
    try:
        return str(client.images.get(reference).id)
    except ImageNotFound:
        emit("message", {"text": f"pulling {reference}"})
    try:
        return str(client.images.pull(reference).id)
    except APIError as error:
        raise NoEngine(
            f"the base image {reference} is not here and cannot be pulled: {error.explanation}",
            help="--no-images leaves images out",
            code="no-images",
        ) from error
