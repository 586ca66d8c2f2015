"""The one order of what a .tflite consists of, which depends only on the network.

Some of the converter's passes keep what they add to a network in hash tables with a random seed: same network, other
numbers of tensors and buffers and another order of operators in every process. Here all is numbered anew:

- operators as a walk from the outputs meets them, inputs in their order: each stands right behind what it waits for, so
  that a constant is unpacked just before it is used;
- tensors, and kinds of operators, in the order in which the operators name them;
- buffers in the order of the tensors that they are the contents of; the first is the empty one and stays.

What nothing refers to comes last, by content.
"""

import collections
import copy

import flatbuffer
import flatbuffer_tree
import tflite_schema as schema

_LACKING = "the network refers to parts that it does not have"


def ordered(model):
    """``model`` (a .tflite, bytes) with its parts in their one order and layout; it computes the same.

    ValueError if it is no .tflite, has parts that are not known here, or depends on the order as it is: a network that
    keeps state, or has operators whose answers nobody asks for.
    """
    tree = flatbuffer_tree.read(model, flatbuffer.root(model), schema.MODEL)
    return flatbuffer_tree.write(in_order(tree), schema.MODEL, flatbuffer.IDENTIFIER)


def in_order(model):
    """The tree of a model, as ``flatbuffer_tree`` reads it, with its parts in order."""
    model = copy.deepcopy(model)
    try:
        for subgraph in model[schema.MODEL_SUBGRAPHS]:
            _order_operators(subgraph)
            _order_tensors(subgraph, model[schema.MODEL_BUFFERS])
        _order_codes(model)
        _order_buffers(model)
    except (IndexError, TypeError):
        raise ValueError(_LACKING)
    return model


def _order_operators(subgraph):
    operators = subgraph[schema.SUBGRAPH_OPERATORS]
    if any(tensor[schema.TENSOR_VARIABLE] for tensor in subgraph[schema.SUBGRAPH_TENSORS]):
        raise ValueError("the network keeps state from run to run")
    makers = {}
    for number, operator in enumerate(operators):
        for tensor in operator[schema.OPERATOR_OUTPUTS]:
            if makers.setdefault(tensor, number) != number:
                raise ValueError("tensor %d is the answer of two operators" % tensor)

    def needs(tensors):
        return [makers[tensor] for tensor in tensors if tensor in makers]

    order = _walk(
        needs(subgraph[schema.SUBGRAPH_OUTPUTS]),
        lambda number: needs(operators[number][schema.OPERATOR_INPUTS]),
    )
    if len(order) != len(operators):
        raise ValueError("%d operators have answers that nobody asks for" % (len(operators) - len(order)))
    subgraph[schema.SUBGRAPH_OPERATORS] = [operators[number] for number in order]


def _walk(ends, needs):
    """The ``ends`` and all that they need, each once and right behind what it needs itself."""
    order, met, path = [], set(), []
    for end in ends:
        path.append((end, iter([end])))
        while path:
            node, waiting = path[-1]
            fresh = next((needed for needed in waiting if needed not in met), None)
            if fresh is None:
                path.pop()
                order.extend([node] if path else [])
            else:
                met.add(fresh)
                path.append((fresh, iter(needs(fresh))))
    return order


def _order_tensors(subgraph, buffers):
    tensors = subgraph[schema.SUBGRAPH_TENSORS]
    lists = [
        (operator, field)
        for operator in subgraph[schema.SUBGRAPH_OPERATORS]
        for field in (schema.OPERATOR_INPUTS, schema.OPERATOR_OUTPUTS)
    ] + [(subgraph, schema.SUBGRAPH_INPUTS), (subgraph, schema.SUBGRAPH_OUTPUTS)]
    # An input that an operator does without is number -1.
    named = [number for table, field in lists for number in table[field] if number != -1]

    def content(number):
        buffer = tensors[number][schema.TENSOR_BUFFER] or 0
        return tensors[number][: schema.TENSOR_BUFFER], tensors[number][schema.TENSOR_BUFFER + 1 :], buffers[buffer]

    subgraph[schema.SUBGRAPH_TENSORS], new = _numbered(tensors, named, content)
    new[-1] = -1
    for table, field in lists:
        table[field] = [new[number] for number in table[field]]


def _order_codes(model):
    codes = model[schema.MODEL_CODES]
    operators = [operator for graph in model[schema.MODEL_SUBGRAPHS] for operator in graph[schema.SUBGRAPH_OPERATORS]]
    # A kind that is there twice is one.
    used = [codes.index(codes[operator[schema.OPERATOR_CODE] or 0]) for operator in operators]
    model[schema.MODEL_CODES], new = _numbered(codes, used, codes.__getitem__)
    for operator, number in zip(operators, used):
        operator[schema.OPERATOR_CODE] = new[number] or None


def _order_buffers(model):
    buffers = model[schema.MODEL_BUFFERS]
    places = [
        (tensor, schema.TENSOR_BUFFER)
        for subgraph in model[schema.MODEL_SUBGRAPHS]
        for tensor in subgraph[schema.SUBGRAPH_TENSORS]
    ] + [(entry, schema.METADATA_BUFFER) for entry in model[schema.MODEL_METADATA] or []]
    named = [0] + [table[field] or 0 for table, field in places]
    if model[schema.MODEL_METADATA_BUFFERS]:
        raise ValueError("the network has metadata of a kind that is not known here")
    model[schema.MODEL_BUFFERS], new = _numbered(buffers, named, buffers.__getitem__)
    for table, field in places:
        table[field] = new[table[field] or 0] or None


def _numbered(parts, named, content):
    """``parts`` in the order in which ``named`` has their numbers first, then the others by ``content(number)``; and
    the new number of each by its old one."""
    order = list(collections.OrderedDict.fromkeys(named))
    if not set(range(len(parts))).issuperset(order):
        raise ValueError(_LACKING)
    order += sorted(set(range(len(parts))).difference(order), key=lambda number: repr(content(number)))
    return [parts[number] for number in order], {number: place for place, number in enumerate(order)}
