"""The commented manifest that ``tinsmith init`` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from builder.manifest.scalars import resolve
from builder.manifest.schema import MODELINE
from builder.starter.survey import Survey

_TEMPLATE = """\
{modeline}
# What to build. Check it with: tinsmith check manifests/{name}.yaml
schema: 1
name: {name}
version: 0.1.0                # a released version never changes; raise it for every new model
toolchain: tf1.15

dataset:
{dataset}
  max_rejected: 0.02          # the build fails if more than this share of the pictures is unusable

model:
  architecture: ssd_mobilenet_v2
  depth_multiplier: 0.25      # width of the network: smaller is faster, larger is more exact
  input_shape: [300, 300, 3]  # height, width, channels{sizes}
  max_detections: 20

train:
  steps: {steps}
  batch_size: 16
  progressive: {{input_shape: [160, 160, 3], steps: {early}}}   # most steps at a size that costs a third
  seed: 1
  init: none                  # or {{release: NAME@VERSION}}, or {{checkpoint: ...}}: weights to start from
  optimizer: {{type: adam}}
  learning_rate: {{schedule: cosine, base: 0.004, warmup_steps: 50}}
  augmentation: [horizontal_flip, random_crop, random_expand, color]

quantization: float32         # or float16, dynamic, int8, uint8-qat, or a list of them: one release each

verify:                       # a build that misses one of these is not released
  min_map50: 0.5              # mAP at IoU 0.5 on the held-out pictures
  max_map_drop: 0.005         # how much the .tflite may lose against the frozen graph
  max_size: 1.5 MB

release:
  license: unknown            # SPDX identifier of the model's licence
  description: What this model finds, and in which pictures.
  authors: []
"""

GITIGNORE = """\
# What tinsmith makes: results of steps, files of the last build, releases.
.tinsmith/
build/
releases/
"""

_FORMATS = {
    "voc": "pictures with Pascal VOC annotations",
    "coco": "pictures with a COCO JSON",
    "yolo": "pictures with YOLO labels",
    "csv": "pictures with a CSV file of boxes",
    "tfrecord": "records of the Object Detection API",
}
_NOT_INSPECTED = Survey("voc", "images", "annotations", classes=("object",))
_SHOWN_CLASSES = 90
_PLAIN = re.compile(r"[A-Za-z0-9_./<][A-Za-z0-9 _./<>-]*")


def starter_text(name: str, found: Survey | None = None, path: str | None = None) -> str:
    """A starter manifest for a model called ``name``, which ``loads`` accepts if the name is valid.

    ``found`` is what a survey of the data at ``path`` (relative to the manifest's folder) saw.
    """
    data = found or _NOT_INSPECTED
    lines = [
        _line(f"format: {data.format}", _FORMATS[data.format] + _counted(data)),
        "  source:",
        _line(f"  name: {name}", f"--source {name}=FOLDER takes a local copy"),
        _line(f"  path: {_scalar(path or f'../data/{name}')}", "or 'git' with 'commit', 'url' with 'sha256', or 'oci'"),
    ]
    if data.records is not None:
        lines.append(_line(f"records: [{_scalar(data.records)}]", "globs of the record files"))
    else:
        lines.append(_line(f"images: {_scalar(str(data.images))}", "folders and files within the source"))
        lines.append(f"  annotations: {_scalar(str(data.annotations))}")
    if data.names is not None:
        lines.append(_line(f"names: {_scalar(data.names)}", "what class 0, 1, ... are called"))
    classes = data.classes or ("object",)
    lines.append(
        _line(f"classes: [{', '.join(_scalar(label) for label in classes[:_SHOWN_CLASSES])}]", _about(classes))
    )
    if len(classes) > _SHOWN_CLASSES:
        lines.append(_line("other_classes: drop", f"{len(classes) - _SHOWN_CLASSES} more are in the data"))
    lines.append(_split_line(data))
    median = data.median_size
    sizes = f"; the median picture has {median[0]}x{median[1]} (width x height)" if median else ""
    # Measured on 160 photographs from scratch (docs/training.md); more pictures can be learnt from for longer.
    steps = 3000 if data.pictures < 1000 else 6000 if data.pictures < 10_000 else 20_000
    return _TEMPLATE.format(
        modeline=MODELINE, name=name, dataset="\n".join(lines), sizes=sizes, steps=steps, early=steps * 2 // 3
    )


def _split_line(data: Survey) -> str:
    if data.split is not None:
        train, held_out = data.split
        return _line(f"split: {{train: {_scalar(train)}, eval: {_scalar(held_out)}}}", "what <split> stands for")
    if data.lists is not None:
        train, held_out = data.lists
        return f"  split: {{train_list: {_scalar(train)}, eval_list: {_scalar(held_out)}}}"
    return _line("split: {eval: 0.2, seed: 7}", "the share that is held out, and the seed that chooses it")


def _about(classes: Sequence[str]) -> str:
    return "as in the annotations, in the order of the model's labels" if len(classes) <= 20 else "the model's labels"


def _counted(data: Survey) -> str:
    return f"; {data.pictures:,} pictures found" if data.pictures else ""


def _line(text: str, comment: str) -> str:
    return f"  {text:<27} # {comment}"


def _scalar(value: str) -> str:
    """``value`` as a YAML scalar that reads back as text."""
    if (
        re.fullmatch(r"[A-Za-z0-9_./<][A-Za-z0-9 _./<>-]*", value)
        and resolve(value) == value
        and value == value.strip()
    ):
        return value
    return json.dumps(value, ensure_ascii=False)
