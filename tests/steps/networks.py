"""A network with packed weights as TensorFlow's converter writes it, and the same network in other orders."""

from __future__ import annotations

from random import Random
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SIDE, DEPTH = 4, 3


def network(layers: int = 3) -> Any:
    """A ModelT: ``layers`` times x -> relu(x * scale + shift), with float16 constants that are unpacked before use; the
    answers are every layer's but the first's, the last first."""
    model = schema.ModelT()
    model.version, model.description = 3, "packed"
    model.buffers, model.metadata = [schema.BufferT()], [schema.MetadataT()]
    model.operatorCodes = [_code("DEQUANTIZE", 2), _code("MUL", 1), _code("ADD", 1)]
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []
    model.subgraphs = [graph]
    random = np.random.RandomState(7)

    def tensor(name: str, kind: str = "FLOAT32", data: np.ndarray | None = None) -> int:
        found = schema.TensorT()
        found.name, found.type = name, getattr(schema.TensorType, kind)
        found.shape = [DEPTH] if "constant" in name else [1, SIDE, SIDE, DEPTH]
        if data is not None:
            found.buffer = _buffer(model, data.tobytes())
        graph.tensors.append(found)
        return len(graph.tensors) - 1

    def operator(code: int, inputs: list[int], output: int, options: str) -> None:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
        made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        made.builtinOptions = getattr(schema, options + "T")()
        if options == "AddOptions":
            made.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
        graph.operators.append(made)

    value = tensor("pixels")
    graph.inputs, answers = [value], []
    for layer in range(layers):
        for code, options in ((1, "MulOptions"), (2, "AddOptions")):
            name = f"layer_{layer}/{options}"
            # Every layer has the same scale: what is equal in content is told apart by where it is used.
            numbers = np.ones(DEPTH) * 0.75 if code == 1 else random.normal(size=DEPTH)
            packed = tensor(f"{name}/constant", "FLOAT16", numbers.astype(np.float16))
            unpacked = tensor(f"{name}/constant_dequantize")
            operator(0, [packed], unpacked, "DequantizeOptions")
            answer = tensor(name)
            operator(code, [value, unpacked], answer, options)
            value = answer
        answers.append(value)
    graph.outputs = answers[:0:-1]
    model.metadata[0].name, model.metadata[0].buffer = "min_runtime_version", _buffer(model, b"1.14.0\0\0")
    return model


def shuffled(model: Any, random: Random) -> Any:
    """``model`` (a ModelT, changed in place) with tensors, buffers, codes and operators in some other valid order."""
    buffers = _shuffle(model, "buffers", random, kept=1)
    for entry in model.metadata:
        entry.buffer = buffers[entry.buffer]
    codes = _shuffle(model, "operatorCodes", random)
    for graph in model.subgraphs:
        tensors = _shuffle(graph, "tensors", random)
        for found in graph.tensors:
            found.buffer = buffers[found.buffer]
        for made in graph.operators:
            made.opcodeIndex = codes[made.opcodeIndex]
            made.inputs = [tensors[number] for number in made.inputs]
            made.outputs = [tensors[number] for number in made.outputs]
        graph.inputs = [tensors[number] for number in graph.inputs]
        graph.outputs = [tensors[number] for number in graph.outputs]
        waiting, graph.operators = graph.operators, []
        while waiting:
            missing = {number for made in waiting for number in made.outputs}
            ready = [made for made in waiting if not missing.intersection(made.inputs)]
            chosen = random.choice(ready)
            graph.operators.append(chosen)
            waiting = [made for made in waiting if made is not chosen]
    return model


def pack(model: Any) -> bytes:
    """``model`` (a ModelT) as a .tflite."""
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpack(data: bytes) -> Any:
    """A .tflite as a ModelT."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))


def _shuffle(owner: Any, name: str, random: Random, kept: int = 0) -> dict[int, int]:
    """Shuffles a list but for its first ``kept`` parts; the new number of each by its old one."""
    parts = getattr(owner, name)
    order = list(range(kept, len(parts)))
    random.shuffle(order)
    order = [*range(kept), *order]
    setattr(owner, name, [parts[number] for number in order])
    return {number: place for place, number in enumerate(order)}


def _code(name: str, version: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    code.version = version
    return code


def _buffer(model: Any, data: bytes) -> int:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1
