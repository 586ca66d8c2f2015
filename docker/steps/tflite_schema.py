"""What a .tflite consists of, as data: the tables of TensorFlow's lite/schema/schema.fbs, version 3, as far as the
converters of TensorFlow 1 write them.

A table is a tuple with the kind of each field by its number. A kind is one of

- ``"b"``, ``"i"``, ``"I"``, ``"f"``: a number of 1 or 4 bytes, as ``struct`` reads it;
- ``TEXT``: a string; ``BYTES``, ``INTEGERS``, ``LONGS``, ``FLOATS``: a vector of numbers of 1, 4, 8 and 4 bytes;
- a table: one of it; ``[table]``: a vector of them;
- ``Union(field, tables)``: the table that ``tables`` has under the number in ``field``, or an empty one;
- ``None``: a field that is not known here.
"""

import collections

Union = collections.namedtuple("Union", ["field", "tables"])
TEXT, BYTES, INTEGERS, LONGS, FLOATS = "text", "[b", "[i", "[q", "[f"

OPTIONS = {
    1: ("b", "i", "i", "b", "i", "i"),  # Conv2D
    2: ("b", "i", "i", "i", "b", "i", "i"),  # DepthwiseConv2D
    5: ("b", "i", "i", "i", "i", "b"),  # Pool2D
    8: ("b", "b", "b"),  # FullyConnected
    9: ("f",),  # Softmax
    10: ("i", "b"),  # Concatenation
    11: ("b",),  # Add
    12: ("b",),  # L2Norm
    13: ("i", "f", "f", "f"),  # LocalResponseNormalization
    15: ("i", "i", "b"),  # ResizeBilinear
    17: (INTEGERS,),  # Reshape
    19: ("i",),  # SpaceToDepth
    21: ("b",),  # Mul
    23: ("i",),  # Gather
    27: ("b",),  # Reducer
    28: ("b",),  # Sub
    29: ("b",),  # Div
    30: (INTEGERS,),  # Squeeze
    32: ("i", "i", "i", "i", "i"),  # StridedSlice
    35: ("i",),  # Split
    37: ("b", "b"),  # Cast
    40: ("b",),  # ArgMax
    49: ("b", "i", "i"),  # TransposeConv
    55: ("b",),  # Shape
    57: ("b",),  # ArgMin
    59: ("i", "i"),  # Pack
    61: ("i",),  # OneHot
    64: ("i", "i"),  # Unpack
    74: ("b",),  # ResizeNearestNeighbor
    75: ("f",),  # LeakyRelu
    77: ("b",),  # MirrorPad
    79: ("i",),  # SplitV
    94: ("i",),  # DepthToSpace
}
"""Options of the operators by their number in the schema's union BuiltinOptions. Those that are not here have none, or
belong to operators that no detector has: a file with such options is refused where it is read."""

BUFFER = (BYTES,)
BUFFER_DATA = 0

QUANTIZATION = (FLOATS, FLOATS, FLOATS, LONGS, "b", None, "i")

TENSOR = (INTEGERS, "b", "I", TEXT, QUANTIZATION, "b")
TENSOR_BUFFER, TENSOR_VARIABLE = 2, 5

CODE = ("b", TEXT, "i", "i")

OPERATOR = ("I", INTEGERS, INTEGERS, "b", Union(3, OPTIONS), BYTES, "b", BYTES)
OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS = 0, 1, 2

SUBGRAPH = ([TENSOR], INTEGERS, INTEGERS, [OPERATOR], TEXT)
SUBGRAPH_TENSORS, SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS, SUBGRAPH_OPERATORS = 0, 1, 2, 3

METADATA = (TEXT, "I")
METADATA_BUFFER = 1

MODEL = ("I", [CODE], [SUBGRAPH], TEXT, [BUFFER], INTEGERS, [METADATA])
MODEL_CODES, MODEL_SUBGRAPHS, MODEL_BUFFERS, MODEL_METADATA_BUFFERS, MODEL_METADATA = 1, 2, 4, 5, 6
