"""Gathers what is released: the model, its labels, all that a program must know to use it, and its figures."""

import os
import shutil

import contract
import training_record

FORMAT = 1

OF_THE_MODEL = ("metrics.json", "certificate.json", "evaluation.json", "golden/expected.json")
"""What verify says of one model, whose digest it names."""


def main(request):
    """Writes model.tflite, labels.txt, metadata.json, detections.png, metrics.json, certificate.json, evaluation.json
    with evaluation/, golden/, training.json, and the weights as trained in checkpoint/, for others to start from.
    Byte-reproducible.

    Failure ``package-metrics`` if one of OF_THE_MODEL is of another file than the one released.
    """
    params = request.params
    model = contract.input_path(request, "converted", "model.tflite")
    metrics = contract.read_json(contract.input_path(request, "verified", "metrics.json"))
    digest = "sha256:" + contract.sha256_of(model)
    for name in OF_THE_MODEL:
        if contract.read_json(contract.input_path(request, "verified", name))["model_digest"] != digest:
            raise contract.Failure("package-metrics", "%s is of another model than the one released" % name)
    shutil.copyfile(model, contract.output_path(request, "model.tflite"))
    verified = ["certificate.json", "detections.png", "evaluation.json", "metrics.json"]
    verified += _within(request, "golden") + _within(request, "evaluation")
    for name in verified:
        shutil.copyfile(contract.input_path(request, "verified", name), contract.output_path(request, name))
    with open(contract.output_path(request, "labels.txt"), "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(label + "\n" for label in params["classes"])
    weights = sorted(name for name in os.listdir(request.inputs["weights"]) if name.startswith("model.ckpt."))
    for name in weights:
        shutil.copyfile(
            contract.input_path(request, "weights", name), contract.output_path(request, "checkpoint", name)
        )
    contract.write_json(contract.output_path(request, "training.json"), training_record.document(_trainings(request)))
    files, written = {}, ["labels.txt", "model.tflite", "training.json"]
    for name in ["checkpoint/" + name for name in weights] + verified + written:
        path = contract.output_path(request, name)
        files[name] = {"digest": "sha256:" + contract.sha256_of(path), "size": os.path.getsize(path)}
    split = contract.read_json(contract.input_path(request, "data", "split.json"))
    source = contract.read_json(contract.input_path(request, "converted", "input.json"))
    outputs = contract.read_json(contract.input_path(request, "graph", "outputs.json"))
    contract.write_json(
        contract.output_path(request, "metadata.json"), describe(params, source, outputs, metrics, split, files)
    )


def _within(request, folder):
    """The files that verify left in one of its folders, if it made it."""
    place = contract.input_path(request, "verified", folder)
    return ["%s/%s" % (folder, name) for name in sorted(os.listdir(place))] if os.path.isdir(place) else []


def _trainings(request):
    """The trainings that made the weights, in turn: ``weights`` are those of qat where ``trained`` is an input, too."""
    if "trained" not in request.inputs:
        return [("train",) + training_record.read(request, "weights")]
    return [("train",) + training_record.read(request, "trained"), ("qat",) + training_record.read(request, "weights")]


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
