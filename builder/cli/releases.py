from __future__ import annotations

import json

from builder.cli.options import DEFAULT_RELEASES, Json, ReleaseFolder, ReleaseRef


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
        print(f"{item.ref:32} {item.files['model.tflite'][1] / 1e6:8.3f} MB  {item.digest}")


def show(release: ReleaseRef, releases: ReleaseFolder = DEFAULT_RELEASES, as_json: Json = False) -> None:
    """Show one release: metrics, sizes and where it comes from.

    Example: tinsmith show shapes@1.0.0
    """
    from builder.configuration import configurations
    from builder.rebuild.record import records
    from builder.release.layout import Layout
    from builder.release.make import read_run
    from builder.trust.policy import load_policy

    layout = Layout(releases)
    found = layout.find(release)
    metrics = json.loads(layout.read(found, "metrics.json"))
    trusted = load_policy(configurations()).keys_for(found.name)
    run, twice = read_run(layout, found), records(layout, found, trusted)
    if as_json:
        document = {
            "name": found.name,
            "version": found.version,
            "digest": found.digest,
            "annotations": dict(found.annotations),
            "files": {title: {"digest": item[0], "size": item[1]} for title, item in found.files.items()},
            "metadata": json.loads(layout.read(found, "metadata.json")),
            "metrics": metrics,
            "run": run,
            "reproducibility": [vars(record) for record in twice],
        }
        print(json.dumps(document, indent=2, sort_keys=True))
        return
    print(f"{found.ref}  {found.digest}")
    print(f"{found.annotations['org.opencontainers.image.description']}")
    print(f"licence {found.annotations['org.opencontainers.image.licenses']}")
    print(f"\n{'stage':16} {'mAP':>7} {'mAP@0.5':>8} {'AR@100':>7}   over {metrics['images']} pictures")
    for name, stage in sorted(metrics["stages"].items()):
        print(f"{name:16} {stage['map']:7.3f} {stage['map50']:8.3f} {stage['ar100']:7.3f}")
    one = metrics["constant_baseline"]
    for name, answer in (("constant box", one), ("constant boxes", one["several_boxes"])):
        print(f"{name:16} {answer['map']:7.3f} {answer['map50']:8.3f} {answer['ar100']:7.3f}")
    point = metrics["operating_point"]
    print(
        f"\nshow detections from a score of {point['score']:.2f}: "
        f"precision {point['precision']:.2f}, recall {point['recall']:.2f}"
    )
    if run is not None:
        latency = run["latency"]
        print(f"latency {latency['latency_ms']['median']:.1f} ms, {latency['threads']} threads, {latency['cpu']}")
    for record in twice:
        print(f"built twice: {record}, {record.source}")
    print("\nfiles")
    for title, (digest, size) in sorted(found.files.items()):
        print(f"  {title:16} {size:>10,}  {digest}")
    print(f"\nmanifest {found.annotations['dev.tinsmith.manifest']}")
    print(f"plan     {found.annotations['dev.tinsmith.plan']}")
