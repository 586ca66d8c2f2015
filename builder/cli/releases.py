from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from builder.cli.options import DEFAULT_RELEASES, Json, ReleaseFolder, ReleaseRef
from builder.errors import IntegrityError
from builder.printed import line, printable

if TYPE_CHECKING:
    from builder.release.layout import Layout
    from builder.release.release import Release


def list_(releases: ReleaseFolder = DEFAULT_RELEASES, as_json: Json = False) -> None:
    """List the releases.

    Example: tinsmith list
    """
    from builder.release.layout import Layout

    found = Layout(releases).releases()
    if as_json:
        rows = [{"name": item.name, "version": item.version, "digest": item.digest} for item in found]
        print(json.dumps(rows, indent=2))
        return
    for item in found:
        model = item.files.get("model.tflite")
        size = f"{model[1] / 1e6:8.3f} MB" if model is not None else f"{'-':>8} MB"
        print(f"{item.ref:32} {size}  {item.digest}")


def show(release: ReleaseRef, releases: ReleaseFolder = DEFAULT_RELEASES, as_json: Json = False) -> None:
    """Show one release: metrics, sizes and where it comes from.

    Example: tinsmith show shapes@1.0.0
    """
    from builder.configuration import configurations
    from builder.rebuild.record import records
    from builder.release import document
    from builder.release.layout import Layout
    from builder.release.make import read_run
    from builder.trust.policy import load_policy

    layout = Layout(releases)
    found = layout.find(release)
    trusted = load_policy(configurations()).keys_for(found.name)
    metrics, run = _read(layout, found, "metrics.json"), read_run(layout, found)
    twice = records(layout, found, trusted)
    if as_json:
        described = {
            "name": found.name,
            "version": found.version,
            "digest": found.digest,
            "annotations": dict(found.annotations),
            "files": {title: {"digest": item[0], "size": item[1]} for title, item in found.files.items()},
            "metadata": _read(layout, found, "metadata.json"),
            "metrics": metrics,
            "run": run,
            "reproducibility": [vars(record) for record in twice],
        }
        print(json.dumps(described, indent=2, sort_keys=True))
        return
    lines = [f"{found.ref}  {found.digest}", _said(found, document.DESCRIPTION)]
    lines += [f"licence {_said(found, document.LICENSES)}", ""]
    lines += _figures(metrics, found)
    if run is not None:
        lines.append(_latency(run))
    lines += [f"built twice: {record}, {record.source}" for record in twice]
    lines += ["", "files"]
    lines += [f"  {title:16} {size:>10,}  {digest}" for title, (digest, size) in sorted(found.files.items())]
    lines += ["", f"manifest {_said(found, document.MANIFEST)}", f"plan     {_said(found, document.PLAN)}"]
    print(printable("\n".join(lines)))


def _said(release: Release, annotation: str) -> str:
    return line(release.annotations.get(annotation, "-"))


def _read(layout: Layout, release: Release, title: str) -> Any:
    """A JSON file of a release, None if it has none such. IntegrityError if it is no JSON."""
    if title not in release.files:
        return None
    try:
        return json.loads(layout.read(release, title))
    except (ValueError, RecursionError) as error:
        raise _odd(title, release) from error


def _latency(run: dict[str, Any]) -> str:
    latency = run["latency"]  # as read_run found it sound
    median, threads = float(latency["latency_ms"]["median"]), int(latency["threads"])
    return f"latency {median:.1f} ms, {threads} threads, {latency['cpu']}"


def _figures(metrics: Any, release: Release) -> list[str]:
    """The table of metrics.json. IntegrityError if it lacks what a build writes there."""
    from builder.report.advice import NO_SCORE, nothing_right

    if metrics is None:
        return ["metrics -"]
    try:
        lines = [f"{'stage':16} {'mAP':>7} {'mAP@0.5':>8} {'AR@100':>7}   over {int(metrics['images'])} pictures"]
        one = metrics["constant_baseline"]
        constant = (("constant box", one), ("constant boxes", one["several_boxes"]))
        lines += [
            f"{line(name):16} {stage['map']:7.3f} {stage['map50']:8.3f} {stage['ar100']:7.3f}"
            for name, stage in (*sorted(metrics["stages"].items()), *constant)
        ]
        point, released = metrics["operating_point"], metrics["stages"].get("tflite_litert")
        score, precision, recall = (float(point[name]) for name in ("score", "precision", "recall"))
        if nothing_right(float(released["map50"]) if released is not None else 1.0, precision, recall):
            return [*lines, "", NO_SCORE]
        said = f"show detections from a score of {score:.2f}: precision {precision:.2f}, recall {recall:.2f}"
        return [*lines, "", said]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise _odd("metrics.json", release) from error


def _odd(title: str, release: Release) -> IntegrityError:
    return IntegrityError(f"{title} of {release.ref} cannot be read")
