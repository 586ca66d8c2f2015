"""Runs a detection .tflite in ai-edge-litert: pixels in, boxes, scores and classes out.

How to feed the model and how to read its answer come from the build (``input.json`` and ``outputs.json``, or
the same two objects inside a release's ``metadata.json``); nothing about normalisation is typed here.
"""

import importlib.metadata

import contract
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from PIL import Image

POSTPROCESS = "TFLite_Detection_PostProcess"
ROLES = ("boxes", "classes", "scores", "count")
KERNELS = {
    "default": OpResolverType.AUTO,
    "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}
"""Default kernels are what apps run (XNNPACK where it can); plain ones do without XNNPACK."""


def runtime():
    """Name and version of the runtime, as they are written into metrics."""
    return {"name": "ai-edge-litert", "version": importlib.metadata.version("ai-edge-litert")}


def input_pixels(image, spec):
    """``image`` (PIL) as the model wants to see it: RGB uint8 [height, width, 3], not yet normalised."""
    _, height, width, _ = spec["shape"]
    image = image.convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.BILINEAR)
    return np.asarray(image, np.uint8)


def normalise(pixels, spec):
    """uint8 [height, width, 3] as the input tensor [1, height, width, 3]."""
    if spec["dtype"] == "uint8":
        return pixels[None]
    return ((pixels.astype(np.float32) - np.float32(spec["mean"])) / np.float32(spec["std"]))[None]


def threads_for(outputs, wanted):
    """How many threads to run a model with: ai-edge-litert 2.3.0 loses whole classes when it suppresses each class
    by itself in more than one."""
    return 1 if outputs["nms"]["mode"] == "regular" else wanted


def check_input(spec):
    """``spec`` if it is an input description that this module can follow, else a Failure."""
    try:
        one, height, width, channels = [int(side) for side in spec["shape"]]
        known = spec["dtype"] in ("float32", "uint8") and spec["color"] == "RGB"
        finite = np.isfinite(float(spec["mean"])) and float(spec["std"]) > 0
    except (KeyError, TypeError, ValueError, OverflowError):
        raise contract.Failure("model-input", "the description of the model's input is incomplete") from None
    if not (known and finite and one == 1 and channels == 3 and 1 <= height <= 4096 and 1 <= width <= 4096):
        raise contract.Failure(
            "model-input",
            "cannot feed a model with this input: %r" % (spec,),
            "tinsmith feeds one RGB picture of up to 4096 x 4096 pixels, float32 or uint8",
        )
    return spec


def order_of(outputs):
    """Roles of the output tensors in turn, from an output description (``outputs.json``)."""
    try:
        order = [tensor["meaning"] for tensor in sorted(outputs["tensors"], key=lambda tensor: tensor["index"])]
        known = sorted(order) == sorted(ROLES) and outputs["index_base"] == 0
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise contract.Failure("model-output", "the description of the model's outputs is incomplete")
    return order


class Detector:
    """A loaded model. Failure ``model-…`` if the file is no such model or does not run.

    ``order`` gives the role (boxes, classes, scores, count) of each output tensor in turn; ``kernels`` is one of
    KERNELS.
    """

    def __init__(self, content, spec, order=ROLES, threads=1, kernels="default"):
        self.spec = check_input(spec)
        try:
            self._interpreter = Interpreter(
                model_content=content, num_threads=threads, experimental_op_resolver_type=KERNELS[kernels]
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, MemoryError) as error:
            raise contract.Failure(
                "model-unreadable",
                "ai-edge-litert cannot load the model: %s" % _first_line(error),
                "the .tflite is damaged, or uses operators that this runtime does not have",
            ) from None
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1 or [int(n) for n in inputs[0]["shape"]] != [int(n) for n in spec["shape"]]:
            shapes = [tuple(int(n) for n in tensor["shape"]) for tensor in inputs]
            raise contract.Failure(
                "model-input", "the model takes %s, its description says %s" % (shapes, tuple(spec["shape"]))
            )
        if np.dtype(inputs[0]["dtype"]).name != spec["dtype"]:
            raise contract.Failure(
                "model-input",
                "the model takes %s, its description says %s" % (np.dtype(inputs[0]["dtype"]).name, spec["dtype"]),
            )
        self._input = inputs[0]["index"]
        # (scale, zero point) of a quantized input, (0.0, 0) of a float one.
        self.input_quantization = tuple(inputs[0]["quantization"])
        self._outputs = self._find_outputs(order)

    def _find_outputs(self, order):
        details = self._interpreter.get_output_details()
        if len(details) != len(ROLES):
            raise contract.Failure(
                "model-output",
                "a detector has 4 output tensors (%s), this model has %d" % (", ".join(ROLES), len(details)),
            )
        found = dict(zip(order, details))
        shapes = {role: tuple(int(n) for n in detail["shape"]) for role, detail in found.items()}
        most = shapes["scores"][-1] if shapes["scores"] else 0
        wanted = {"boxes": (1, most, 4), "classes": (1, most), "scores": (1, most), "count": (1,)}
        if shapes != wanted:
            raise contract.Failure("model-output", "the model's outputs have the shapes %s" % shapes)
        return {role: detail["index"] for role, detail in found.items()}

    def invoke(self, tensor):
        """One run on a ready input tensor; the answer stays in the interpreter."""
        try:
            self._interpreter.set_tensor(self._input, tensor)
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise contract.Failure("model-run", "the model stops while it runs: %s" % _first_line(error)) from None

    def detect(self, pixels):
        """Answer to uint8 [height, width, 3]: (boxes [n, 4], scores [n], classes [n]), best first.

        Boxes are (ymin, xmin, ymax, xmax), normalised; classes count from 0. Only the first ``count`` rows
        of the output tensors are read: the runtime leaves the rest as uninitialised memory.
        """
        self.invoke(normalise(pixels, self.spec))
        boxes, classes, scores, count = (
            self._interpreter.get_tensor(self._outputs[role]) for role in ("boxes", "classes", "scores", "count")
        )
        if not np.isfinite(count[0]) or not 0 <= count[0] <= scores.shape[1]:
            raise contract.Failure("model-output", "the model counts %r detections" % float(count[0]))
        found = int(count[0])
        boxes, scores, classes = boxes[0, :found], scores[0, :found], classes[0, :found]
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all() and np.isfinite(classes).all()):
            raise contract.Failure("model-output", "the model answers with numbers that are not finite")
        order = np.argsort(-scores, kind="stable")
        return (
            boxes[order].astype(np.float32),
            scores[order].astype(np.float32),
            np.rint(classes[order]).astype(np.int32),
        )

    def raw_heads(self):
        """What went into the post-processing operator in the last run: (box encodings, class scores) or None."""
        for operator in self._interpreter._get_ops_details():
            if operator["op_name"] == POSTPROCESS:
                return tuple(self._real(index)[0] for index in operator["inputs"][:2])
        return None

    def _real(self, index):
        """A tensor's values; those of a quantized one as the numbers they stand for."""
        values = self._interpreter.get_tensor(index)
        if values.dtype == np.float32:
            return values
        scale, zero_point = self._interpreter._get_tensor_details(index, 0)["quantization"]
        return ((values.astype(np.float32) - zero_point) * np.float32(scale)).astype(np.float32)


def _first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
