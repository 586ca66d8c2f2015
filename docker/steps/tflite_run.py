"""Runs a detection .tflite in the interpreter of TensorFlow 1.15."""

import contract
import flatbuffer
import numpy as np
from tf1 import lite

POSTPROCESS = "TFLite_Detection_PostProcess"


class Model(object):
    """A loaded .tflite. ``spec`` is the content of convert's input.json, ``outputs`` of export's outputs.json."""

    def __init__(self, path, spec, outputs):
        with open(path, "rb") as stream:
            content = stream.read()
        try:
            self._interpreter = lite.Interpreter(model_content=content)
            self._interpreter.allocate_tensors()
            operators = [found for found in flatbuffer.custom_operators(content) if found.name == POSTPROCESS]
        except (ValueError, RuntimeError) as error:
            raise contract.Failure("infer-model", "TensorFlow cannot load the .tflite: %s" % error)
        if len(operators) != 1:
            raise contract.Failure("infer-model", "the .tflite has no single %s operator" % POSTPROCESS)
        (entry,) = self._interpreter.get_input_details()
        if list(entry["shape"]) != list(spec["shape"]):
            raise contract.Failure("infer-model", "the .tflite takes %s, not %s" % (entry["shape"], spec["shape"]))
        self._input, self._spec = entry["index"], spec
        # Its inputs are computed just before it, so their memory is not used again: still valid after a run.
        self._heads = operators[0].inputs[:2]
        details = self._interpreter.get_output_details()
        self._outputs = {entry["meaning"]: details[entry["index"]]["index"] for entry in outputs["tensors"]}

    def detect(self, pixels):
        """Answer to uint8 [height, width, 3]: boxes [n, 4], scores [n], classes [n] from 0."""
        tensor = pixels
        if self._spec["dtype"] == "float32":
            tensor = (pixels.astype(np.float32) - np.float32(self._spec["mean"])) / np.float32(self._spec["std"])
        self._interpreter.set_tensor(self._input, tensor[None])
        self._interpreter.invoke()
        found = {meaning: self._interpreter.get_tensor(index) for meaning, index in self._outputs.items()}
        count = int(found["count"][0])
        return found["boxes"][0][:count], found["scores"][0][:count], found["classes"][0][:count]

    def heads(self):
        """Box encodings [a, 4] and class scores [a, c + 1] of the last run, before suppression, float32."""
        return tuple(self._real(index)[0] for index in self._heads)

    def _real(self, index):
        """A tensor's values; those of a quantized one as the numbers they stand for."""
        values = self._interpreter.get_tensor(index)
        if values.dtype == np.float32:
            return values
        scale, zero_point = self._interpreter._get_tensor_details(index)["quantization"]
        return ((values.astype(np.float32) - zero_point) * np.float32(scale)).astype(np.float32)
