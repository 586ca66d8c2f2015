"""How an app uses a model: a short program that feeds it as it was trained and reads its answer."""

from __future__ import annotations

from builder.catalogue.facts import Facts

_PROGRAM = """\
import numpy as np
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert numpy pillow
from PIL import Image, ImageOps

labels = open("labels.txt", encoding="utf-8").read().splitlines()
model = Interpreter("model.tflite")
model.allocate_tensors()

picture = ImageOps.exif_transpose(Image.open("picture.jpg")).convert("RGB")
pixels = np.asarray(picture.resize(({width}, {height}), Image.Resampling.BILINEAR))
{feed}
model.set_tensor(model.get_input_details()[0]["index"], values[np.newaxis])
model.invoke()

{names} = (
    model.get_tensor(output["index"])[0] for output in model.get_output_details()
)
for box, number, score in zip(boxes[: int(count)], classes, scores):
    if score >= {score}:
        top, left, bottom, right = box  # shares of the picture's height and width
        print(labels[int(number)], round(float(score), 3), top, left, bottom, right)
"""


def python_example(facts: Facts) -> str:
    """A program for LiteRT. Holds numbers of ``facts`` only, no texts of it."""
    _, height, width, _ = facts.input.shape
    by_index = {tensor.index: tensor.meaning for tensor in facts.outputs.tensors}
    names = ", ".join(name if (name := by_index.get(index)) in _MEANINGS else "_" for index in range(4))
    score = f"{facts.operating_point.score:g}"
    return _PROGRAM.format(width=width, height=height, feed=_feed(facts), names=names, score=score)


_MEANINGS = ("boxes", "classes", "scores", "count")


def _feed(facts: Facts) -> str:
    mean, std = f"{facts.input.mean:g}", f"{facts.input.std:g}"
    if facts.input.dtype == "uint8":
        return "values = pixels.astype(np.uint8)  # as they are: the model normalises them itself"
    low, high = (f"{value:g}" for value in facts.input.range)
    return f"values = (pixels.astype(np.float32) - {mean}) / {std}  # {low} to {high}"
