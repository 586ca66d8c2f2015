"""How many bytes the parts of a .tflite take, by the rules of the FlatBuffer format.

A table is an offset to the list of its fields, which equal tables share, and then the fields; strings, lists and other
tables are fields of four bytes that point elsewhere (https://flatbuffers.dev/internals, and TensorFlow's schema.fbs).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

_ALIGNED = 16
"""Constants begin at a multiple of this many bytes."""

Role = Literal["input", "answer", "filter", "bias", "anchors", "form", "output"]
"""``answer``: what an operator computes; ``form``: a shape, as numbers; ``output``: of the whole model."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of the file.

    ``width``: bytes of an element if it is a constant, else 0. ``scales``: how many it is quantized with. ``ranged``:
    its least and greatest value are kept too. ``added``: put in after conversion, so it shares the first, empty buffer.
    """

    role: Role
    name: str
    shape: tuple[int, ...]
    width: int = 0
    float32: bool = True
    scales: int = 0
    ranged: bool = False
    added: bool = False

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Of its table, name, shape, quantization and buffer."""
        vectors = [vector(4), vector(4)] if self.ranged else []
        if self.scales:
            vectors += [vector(4 * self.scales), vector(8 * self.scales)]  # Zero points are 64-bit.
        described = bool(vectors) or not self.added
        quantization = table(*[4] * len(vectors)) + sum(vectors) if described else 0
        own = table(4, 4, 0 if self.added else 4, 4 if described else 0, 0 if self.float32 else 1)
        return 4 + own + vector(len(self.name) + 1) + vector(4 * len(self.shape)) + quantization + self._buffer

    @property
    def _buffer(self) -> int:
        if self.added:
            return 0
        if not self.width:
            return 4 + table()
        return 4 + _up(table(4) + vector(self.elements * self.width), _ALIGNED)


@dataclass(frozen=True)
class Operator:
    """One operator of the file; ``options``: the widths of its built-in options, None if it has none."""

    inputs: int
    options: tuple[int, ...] | None = None
    outputs: int = 1

    @property
    def bytes(self) -> int:
        options = 0 if self.options is None else table(*self.options)
        own = table(4, 4, 4, *((1, 4) if options else ()))
        return 4 + own + vector(4 * self.inputs) + vector(4 * self.outputs) + options


@dataclass(frozen=True)
class File:
    """``rewritten``: read and written once more after conversion, which leaves out the operators' empty lists of the
    inputs that they change."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    rewritten: bool = False

    @property
    def bytes(self) -> int:
        empty = 0 if self.rewritten else (4 + vector(0)) * len(self.operators)
        return empty + sum(tensor.bytes for tensor in self.tensors) + sum(item.bytes for item in self.operators)


def vector(size: int) -> int:
    """Bytes of a list or string of ``size`` bytes, its length in front."""
    return 4 + _up(size, 4)


def table(*fields: int) -> int:
    """Bytes of a table with fields of these widths."""
    return 4 + _up(sum(fields), 4)


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
