"""Frozen graphs on disk: always the same bytes for the same graph."""

import tf1
from tf1 import tf


def read(path):
    """The GraphDef in the file ``path``."""
    graph = tf.compat.v1.GraphDef()
    with open(path, "rb") as stream:
        graph.ParseFromString(stream.read())
    return graph


def write(path, graph):
    """Writes a GraphDef. Attributes are a protobuf map, which has no order of its own: without
    ``deterministic`` two processes write different bytes."""
    with open(path, "wb") as stream:
        stream.write(graph.SerializeToString(deterministic=True))


def session_config(threads):
    """Session options under which a graph gives the same bits from run to run."""
    return tf1.session_config(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1)
