"""Puts into the .tflite what a program needs to use it: TFLite Model Metadata and, appended, the names of the classes.

It is done before anything is measured, so that the figures of a release are those of the file that is released.
"""

import json
import shutil

import contract
import tflite_edit
import tflite_metadata

LABELS = "labels.txt"
ORIGIN = "release.json"
FORMAT = 1


def main(request):
    """Writes model.tflite with its metadata, and input.json as it came. Byte-reproducible.

    Failure ``embed-model`` if the model cannot be added to, or has such metadata already.
    """
    spec = contract.read_json(contract.input_path(request, "converted", "input.json"))
    outputs = contract.read_json(contract.input_path(request, "graph", "outputs.json"))
    with open(contract.input_path(request, "converted", "model.tflite"), "rb") as stream:
        model = stream.read()
    try:
        whole = embedded(model, request.params, spec, outputs)
    except ValueError as error:
        raise contract.Failure("embed-model", "metadata cannot be put into the model: %s" % error) from None
    with open(contract.output_path(request, "model.tflite"), "wb") as stream:
        stream.write(whole)
    shutil.copyfile(
        contract.input_path(request, "converted", "input.json"), contract.output_path(request, "input.json")
    )


def embedded(model, params, spec, outputs):
    """``model`` (a .tflite, bytes) with metadata, labels.txt and release.json. ValueError if it cannot be added to.

    ``params`` are the step's; ``spec`` and ``outputs`` what convert and export say of the model's input and outputs.
    """
    about = dict(params["release"], name=params["name"], version=params["version"])
    metadata = tflite_metadata.build(
        about,
        spec,
        outputs,
        len(params["classes"]),
        LABELS,
        {ORIGIN: "Name and version of the release, and the digest of the manifest it was built from, as JSON."},
    )
    origin = {key: params[key] for key in ("name", "version", "manifest_without_verify")}
    files = [
        (LABELS, "".join(name + "\n" for name in params["classes"]).encode("utf-8")),
        (ORIGIN, (json.dumps(dict(origin, format=FORMAT), sort_keys=True, indent=2) + "\n").encode("utf-8")),
    ]
    return tflite_edit.append_files(tflite_edit.add_metadata(model, tflite_metadata.NAME, metadata), files)
