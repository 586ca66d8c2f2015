"""All that one manifest file builds: a model, or several variants of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.digest import Digest, digest_json
from builder.errors import Diagnostic
from builder.manifest.diagnose import node_at
from builder.manifest.model import Manifest
from builder.manifest.nodes import Node
from builder.manifest.selection import Select

LONGEST_NAME = 63


@dataclass(frozen=True)
class Variant:
    """One model; ``manifest`` has every choice made and the variant's own name. ``label`` is empty for the only one."""

    label: str
    choices: Mapping[str, Any]
    manifest: Manifest


@dataclass(frozen=True)
class Family:
    """The models of one manifest file, in the order of its axes; ``select`` says which of them are released."""

    name: str
    version: str
    variants: tuple[Variant, ...]
    select: Select | None

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        return tuple(variant.manifest for variant in self.variants)

    @property
    def only(self) -> Manifest:
        """The one model; ValueError if there are several."""
        (manifest,) = self.manifests
        return manifest

    @property
    def digest(self) -> Digest:
        """Over what the file says: of a single model the manifest's own."""
        if len(self.variants) == 1 and not self.variants[0].label:
            return self.only.digest
        select = self.select.model_dump(mode="json") if self.select else None
        return digest_json({"variants": [manifest.digest for manifest in self.manifests], "select": select})


def named(name: str, label: str) -> str:
    """What the variant ``label`` of the manifest ``name`` is called as a release."""
    return f"{name}-{label}" if label else name


def idle(root: Node, manifests: Sequence[Manifest], select: Select | None) -> Iterator[Diagnostic]:
    """Keys that change nothing in any of ``manifests``, and names that are too long; places are those of ``root``."""
    kinds = {manifest.quantization.type for manifest in manifests}
    verify = manifests[0].verify
    if verify.max_quant_drop is not None and kinds == {"float32"}:
        yield _at(root, ("verify", "max_quant_drop"), "nothing is quantized here", "remove it, or set quantization")
    if verify.max_map_drop is not None and "float32" not in kinds:
        help = "for quantized models it is max_quant_drop"
        yield _at(root, ("verify", "max_map_drop"), "it judges float32 models, and there is none", help)
    if select is not None and len(manifests) == 1:
        yield _at(root, ("select",), "there is only one model to select", "remove it, or give a matrix")
    longest = max(manifests, key=lambda manifest: len(manifest.name))
    if len(longest.name) > LONGEST_NAME:
        message = f"a variant would be called {longest.name}, more than {LONGEST_NAME} characters"
        node = node_at(root, ("name",))
        yield Diagnostic("out-of-range", message, node.span if node else root.span, "shorten the name")


def _at(root: Node, path: Sequence[str], message: str, help: str) -> Diagnostic:
    node = node_at(root, path)
    span = (node.key or node.span) if node else root.span
    return Diagnostic("no-effect", f"{path[-1]} has no effect: {message}", span, help)
