"""The model card: Markdown with the front matter that Hugging Face reads.

Sources: the Hub's documentation of model cards and of ``model-index``; ``huggingface_hub.ModelCard`` reads what is
written here. Its YAML is read as YAML 1.1, so every text is quoted.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from builder.report import words
from builder.report.facts import Facts
from builder.report.markdown_text import code, line, prose, table

_LICENCES = (
    "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc-by-4.0", "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0", "cc-by-sa-4.0", "cc0-1.0", "ecl-2.0", "epl-2.0", "eupl-1.1", "gpl-2.0", "gpl-3.0", "isc",
    "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "ms-pl", "ncsa", "ofl-1.1", "osl-3.0", "postgresql", "unlicense", "wtfpl",
    "zlib",
)  # fmt: skip
"""Identifiers that the Hub knows, as its documentation lists them; others are ``other`` with a name."""
_METRICS = (("map", "mAP"), ("map50", "mAP@0.5"), ("map75", "mAP@0.75"), ("ar100", "AR@100"))
MOST_CLASSES = 200


def card(facts: Facts) -> str:
    """The card of ``facts``."""
    return f"---\n{_yaml(front_matter(facts))}---\n\n" + "\n".join(_body(facts))


def front_matter(facts: Facts) -> dict[str, Any]:
    """What the Hub indexes: licence, task, tags, and figures with the pictures that they were measured on."""
    tags = ["tflite", "litert", "object-detection", "tinsmith"]
    for word in (facts.metadata.architecture.get("name"), _quantization(facts)):
        if isinstance(word, str) and (word := _tag(word)) and word not in tags:
            tags.append(word)
    found: dict[str, Any] = {**_licence(facts.metadata.license), "library_name": "tflite"}
    found |= {"pipeline_tag": "object-detection", "tags": tags}
    if facts.metrics is not None:
        found["model-index"] = [{"name": line(facts.subject.name), "results": [_result(facts)]}]
    return found


def _licence(said: str) -> dict[str, str]:
    name = line(said, 100)
    plain = name.lower().removesuffix("-only").removesuffix("-or-later")
    if plain in _LICENCES:
        return {"license": plain}
    return {"license": "other", "license_name": name or "unknown"}


def _result(facts: Facts) -> dict[str, Any]:
    assert facts.metrics is not None, "who asks has figures"
    released = facts.metrics.released
    metrics = [
        {"type": name, "value": value, "name": label}
        for name, label in _METRICS
        if (value := getattr(released, name)) is not None
    ]
    dataset: dict[str, Any] = {"name": _dataset(facts), "type": _tag(_dataset(facts)) or "dataset", "split": "eval"}
    if facts.metadata.dataset.digest is not None:
        dataset["revision"] = line(facts.metadata.dataset.digest)
    return {"task": {"type": "object-detection", "name": "Object Detection"}, "dataset": dataset, "metrics": metrics}


def _dataset(facts: Facts) -> str:
    """The name of the source in the manifest, else the kind of the data."""
    dataset = facts.manifest.get("dataset")
    source = dataset.get("source") if isinstance(dataset, dict) else None
    for said in (source, dataset):
        for key in ("name", "format"):
            if isinstance(said, dict) and isinstance(said.get(key), str) and said[key].strip():
                return line(said[key], 100)
    return "held-out pictures"


def _quantization(facts: Facts) -> str:
    return facts.metrics.quantization.type if facts.metrics is not None else ""


def _tag(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-")[:60]


def _body(facts: Facts) -> Iterator[str]:
    subject, metadata, metrics = facts.subject, facts.metadata, facts.metrics
    yield f"# {prose(f'{subject.name} {subject.version}')}\n"
    if metadata.description:
        yield prose(metadata.description) + "\n"
    if not facts.released:
        yield "**This model was not released.** Its figures are those of a build.\n"
    yield from table(["", ""], _about(facts))
    if metrics is not None:
        yield "## Evaluation\n"
        yield f"On {words.count(metrics.images)} pictures that training did not see, of these bytes in LiteRT.\n"
        stages = (
            ("this model", metrics.released),
            ("one constant box a class", metrics.constant_baseline),
        )
        rows = [[name, words.share(one.map), words.share(one.map50)] for name, one in stages]
        yield from table(["answers of", "mAP", "`mAP@0.5`"], rows, [1, 2])
        point = metrics.operating_point
        yield (
            f"Show detections from a score of {words.share(point.score)}: precision is {words.share(point.precision)} "
            f"there, recall {words.share(point.recall)}.\n"
        )
        classes = list(metrics.released.per_class.items())[:MOST_CLASSES]
        if classes:
            cells = (
                [code(name, 100), words.count(one.boxes), words.share(one.ap), words.share(one.ap50)]
                for name, one in classes
            )
            yield from table(["class", "annotated boxes", "AP", "`AP@0.5`"], cells, [1, 2, 3])
        yield "## Limits\n"
        yield from _limits(facts)
    yield "## Use\n"
    yield "`model.tflite` holds its labels and its normalisation as TFLite metadata; `metadata.json` says the same.\n"
    if facts.released:
        yield f"```sh\ntinsmith pull {line(subject.ref)} models/{line(subject.name)} --only model\n```\n"
        yield f"It can be built again from its release: `tinsmith rebuild {line(subject.ref)}`.\n"


def _about(facts: Facts) -> Iterator[list[str]]:
    metadata = facts.metadata
    shape = metadata.input.shape
    name = metadata.architecture.get("name")
    yield ["task", "object detection"]
    if facts.labels:
        shown = [code(label, 60) for label in facts.labels[:50]]
        more = f" and {len(facts.labels) - 50} more" if len(facts.labels) > 50 else ""
        yield ["classes", ", ".join(shown) + more]
    if isinstance(name, str):
        width = metadata.architecture.get("depth_multiplier")
        # Whole numbers of a document are of any length, and one of 400 digits is no float.
        known = isinstance(width, int | float) and abs(width) < 1e6
        yield ["network", code(name) + (f", width {width:g}" if known else "")]
    if len(shape) == 4:
        yield ["input", f"{shape[1]} × {shape[2]} pixels (height × width), {code(metadata.input.dtype, 20)}"]
    if facts.metrics is not None:
        yield ["size", f"{words.size(facts.metrics.size)}, {code(_quantization(facts))}"]
    if facts.run is not None:
        latency = facts.run.latency
        median = words.milliseconds(latency.latency_ms.median)
        yield ["latency", f"{median} a picture, on {code(latency.cpu)} with {latency.threads} threads"]
    yield ["licence", code(metadata.license)]
    yield ["authors", code(", ".join(metadata.authors), 400)]
    if facts.released:
        yield ["release", code(facts.subject.digest or "")]


def _limits(facts: Facts) -> Iterator[str]:
    assert facts.metrics is not None, "who asks has figures"
    splits = facts.metadata.dataset.splits
    if "train" in splits:
        yield f"- Trained on {words.count(splits['train'].images)} pictures; it knows no others.\n"
    weakest = sorted(facts.metrics.released.per_class.items(), key=lambda item: item[1].ap)[:3]
    if len(facts.metrics.released.per_class) > 1:
        told = ", ".join(f"{code(name, 60, cell=False)} ({words.share(one.ap)})" for name, one in weakest)
        yield f"- The classes with the least average precision: {told}.\n"
    yield (
        "- mAP rewards boxes that are right on average. One constant box a class, the same for every picture, gets "
        f"{words.share(facts.metrics.constant_baseline.map50)} `mAP@0.5` on these pictures.\n"
    )


def _yaml(document: dict[str, Any]) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    def quoted(value: Any) -> Any:
        if isinstance(value, str):
            return DoubleQuotedScalarString(value)
        if isinstance(value, dict):
            return {key: quoted(item) for key, item in value.items()}
        return [quoted(item) for item in value] if isinstance(value, list) else value

    writer, buffer = YAML(), io.StringIO()
    writer.width = 1 << 16
    writer.default_flow_style = False
    writer.dump(quoted(document), buffer)
    return buffer.getvalue()
