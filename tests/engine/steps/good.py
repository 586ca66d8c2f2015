"""Copies its input, says things on both streams and shows progress."""

import sys

import contract


def main(request):
    contract.emit("progress", step=1, steps=2)
    print("a plain line")
    sys.stdout.write("no newline at the end of this one, then an event")
    print()
    contract.emit("progress", step=2, steps=2)
    sys.stderr.write("a line on the other stream\n")
    with open(contract.input_path(request, "data", "in.txt"), "rb") as stream:
        data = stream.read()
    with open(contract.output_path(request, "deep", "out.txt"), "wb") as stream:
        stream.write(data.upper())
    contract.write_json(contract.output_path(request, "params.json"), request.params)
