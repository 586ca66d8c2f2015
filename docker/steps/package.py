"""Gathers what is released: the model, its labels, all that a program must know to use it, and its figures."""

import os
import shutil

import contract

FORMAT = 1


def main(request):
    """Writes model.tflite, labels.txt, metadata.json, detections.png, metrics.json, certificate.json, golden/, and the
    weights as trained in checkpoint/, for others to start from. Byte-reproducible.

    Failure ``package-metrics`` if figures, certificate or golden pictures are of another file than the one released.
    """
    params = request.params
    model = contract.input_path(request, "converted", "model.tflite")
    metrics = contract.read_json(contract.input_path(request, "verified", "metrics.json"))
    digest = "sha256:" + contract.sha256_of(model)
    for name in ("metrics.json", "certificate.json", "golden/expected.json"):
        if contract.read_json(contract.input_path(request, "verified", name))["model_digest"] != digest:
            raise contract.Failure("package-metrics", "%s is of another model than the one released" % name)
    shutil.copyfile(model, contract.output_path(request, "model.tflite"))
    golden = ["golden/" + name for name in sorted(os.listdir(contract.input_path(request, "verified", "golden")))]
    verified = ["certificate.json", "detections.png", "metrics.json"] + golden
    for name in verified:
        shutil.copyfile(contract.input_path(request, "verified", name), contract.output_path(request, name))
    with open(contract.output_path(request, "labels.txt"), "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(label + "\n" for label in params["classes"])
    weights = sorted(name for name in os.listdir(request.inputs["weights"]) if name.startswith("model.ckpt."))
    for name in weights:
        shutil.copyfile(
            contract.input_path(request, "weights", name), contract.output_path(request, "checkpoint", name)
        )
    files = {}
    for name in ["checkpoint/" + name for name in weights] + verified + ["labels.txt", "model.tflite"]:
        path = contract.output_path(request, name)
        files[name] = {"digest": "sha256:" + contract.sha256_of(path), "size": os.path.getsize(path)}
    split = contract.read_json(contract.input_path(request, "data", "split.json"))
    source = contract.read_json(contract.input_path(request, "converted", "input.json"))
    outputs = contract.read_json(contract.input_path(request, "graph", "outputs.json"))
    contract.write_json(
        contract.output_path(request, "metadata.json"), describe(params, source, outputs, metrics, split, files)
    )


def describe(params, source, outputs, metrics, split, files):
    """metadata.json: how to feed the model, how to read its answer, how good it is, where it comes from.

    ``source`` is what convert read back from the model, ``outputs`` what export derived from the network; ``split`` is
    ingest's split.json.
    """
    release = params["release"]
    return {
        "format": FORMAT,
        "name": params["name"],
        "version": params["version"],
        "task": "object-detection",
        "license": release["license"],
        "description": release["description"],
        "authors": release["authors"],
        "architecture": {
            "name": params["model"]["architecture"],
            "depth_multiplier": params["model"]["depth_multiplier"],
        },
        "quantization": params["quantization"],
        "input": source,
        "outputs": outputs,
        "operating_point": metrics["operating_point"],
        "labels": {"names": params["classes"], "index_base": outputs["index_base"], "file": "labels.txt"},
        "metrics": {
            "stages": metrics["stages"],
            "constant_baseline": metrics["constant_baseline"],
            "images": metrics["images"],
            "score_threshold": metrics["score_threshold"],
            "model_digest": metrics["model_digest"],
        },
        "dataset": {
            "digest": params["dataset_digest"],
            "splits": {name: {"digest": part["digest"], "images": len(part["images"])} for name, part in split.items()},
        },
        "toolchains": params["toolchains"],
        "manifest_digest": params["manifest_digest"],
        "files": files,
    }
