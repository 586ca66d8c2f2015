"""Tries what a step must not be able to do, and writes down what it could."""

import os
import socket
import subprocess
import sys

import contract


def main(request):
    here = os.path.dirname(os.path.abspath(__file__))
    contract.write_json(
        contract.output_path(request, "probe.json"),
        {
            "connected": connects(*request.params["address"]),
            "resolved": resolves("localhost.example.org"),
            "wrote": [
                name
                for name, path in [
                    ("input", contract.input_path(request, "data", "new.txt")),
                    ("input file", contract.input_path(request, "data", "in.txt")),
                    ("code", os.path.join(here, "new.py")),
                    ("toolchain", os.path.join(os.path.dirname(sys.executable), "new")),
                    ("beside the output", os.path.join(os.path.dirname(request.output), "new.txt")),
                    ("home of the system", "/usr/new.txt"),
                    ("etc", "/etc/new.txt"),
                ]
                if writes(path)
            ],
            "scratch": writes(os.path.join(os.environ["TMPDIR"], "new.txt")),
            "environment": dict(os.environ),
            "uid": os.getuid(),
            "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
            "stdin": len(sys.stdin.read()),
            "shell": subprocess.call(["sh", "-c", "exit 3"]),
        },
    )


def connects(host, port):
    try:
        socket.create_connection((host, port), timeout=3).close()
        return True
    except OSError:
        return False


def resolves(name):
    try:
        socket.getaddrinfo(name, 80)
        return True
    except OSError:
        return False


def writes(path):
    try:
        with open(path, "ab") as stream:
            stream.write(b"written")
        return True
    except OSError:
        return False
