"""The commented manifest that ``tinsmith init`` writes."""

from __future__ import annotations

_TEMPLATE = """\
# What to build. Check it with: tinsmith check manifests/{name}.yaml
schema: 1
name: {name}
version: 0.1.0                # a released version never changes; raise it for every new model
toolchain: tf1.15

dataset:
  format: voc                 # pictures with Pascal VOC annotations; 'synthetic' draws shapes instead
  source:
    name: {name}              # --source {name}=FOLDER takes a local copy
    path: ../data/{name}      # or, instead of path, 'git: https://...' with 'commit: <40 hex digits>'
  images: images              # folders within the source
  annotations: annotations
  classes: [object]           # as in the annotations, in the order of the model's labels
  split: {{eval: 0.2, seed: 7}} # the share that is held out, and the seed that chooses it
  max_rejected: 0.02          # the build fails if more than this share of the pictures is unusable

model:
  architecture: ssd_mobilenet_v2
  depth_multiplier: 0.25      # width of the network: smaller is faster, larger is more exact
  input_shape: [300, 300, 3]  # height, width, channels
  max_detections: 20

train:
  steps: 1000
  batch_size: 24
  seed: 1
  optimizer: {{type: adam}}
  learning_rate: {{schedule: cosine, base: 0.004, warmup_steps: 50}}
  augmentation: [horizontal_flip, random_crop, color]

quantization: float32

verify:                       # a build that misses one of these is not released
  min_map50: 0.5              # mAP at IoU 0.5 on the held-out pictures
  max_map_drop: 0.005         # how much the .tflite may lose against the frozen graph
  max_size: 1.5 MB

release:
  license: unknown            # SPDX identifier of the model's licence
  description: What this model finds, and in which pictures.
  authors: []
"""


def init_text(name: str) -> str:
    """A starter manifest for a model called ``name``, which ``loads`` accepts if the name is valid."""
    return _TEMPLATE.format(name=name)
