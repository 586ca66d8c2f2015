"""A toolchain's own Dockerfile as stages of a larger one. Pure text.

Its lines are kept; only what names things changes: its base image is an argument of its own, its stages carry the
toolchain's name, and what it copies lies below ``toolchains/NAME`` of the context.
"""

from __future__ import annotations

import re

from builder.errors import LockError

BASE = "BASE"
FOLDER = "toolchains"

_FROM = re.compile(r"FROM \$\{BASE_IMAGE\}(?: AS ([a-z][a-z0-9._-]*))?")
_COPY_STAGE = re.compile(r"COPY --from=([a-z][a-z0-9._-]*) (\S+ \S+)")
_COPY = re.compile(r"COPY ([^-\[<\s][^<]*) (\S+)")
_KEPT = ("ARG ", "ENV ", "RUN ", "WORKDIR ", "USER ", "ENTRYPOINT ", "CMD ")


def variable(kind: str, toolchain: str) -> str:
    """The name of a build argument: ``BASE_TF1_15``."""
    return f"{kind}_{re.sub('[^A-Z0-9]', '_', toolchain.upper())}"


def stage(toolchain: str) -> str:
    """The stage whose image the steps run in."""
    return f"toolchain-{toolchain}"


def stages(toolchain: str, dockerfile: str) -> str:
    """The stages of ``dockerfile``, the last one called ``stage(toolchain)``.

    LockError if it has an instruction whose meaning would depend on the folder or the file it stands in.
    """
    lines = dockerfile.strip("\n").split("\n")
    froms = [number for number, line in enumerate(lines) if _FROM.fullmatch(line)]
    if not froms or re.match(r"#\s*(syntax|escape|check)\s*=", lines[0]):
        raise _unknown(toolchain, lines[0])
    done, continued = [], False
    for number, line in enumerate(lines):
        if continued or not line or line.startswith("#"):
            done.append(line)
        elif found := _FROM.fullmatch(line):
            name = stage(toolchain) if number == froms[-1] else f"{found[1]}-{toolchain}"
            done.append(f"FROM ${{{variable(BASE, toolchain)}}} AS {name}")
        elif found := _COPY_STAGE.fullmatch(line):
            done.append(f"COPY --from={found[1]}-{toolchain} {found[2]}")
        elif found := _COPY.fullmatch(line):
            sources = " ".join(f"{FOLDER}/{toolchain}/{source}" for source in found[1].split())
            done.append(f"COPY {sources} {found[2]}")
        elif not line.startswith(_KEPT) or "<<" in line:
            raise _unknown(toolchain, line)
        elif line != "ARG BASE_IMAGE":  # declared once for the whole file, under the toolchain's name
            done.append(line)
        continued = line.endswith("\\")
    return "\n".join(done) + "\n"


def _unknown(toolchain: str, line: str) -> LockError:
    return LockError(
        f"the Dockerfile of toolchain {toolchain} cannot become part of another: {line!r}",
        help="it must begin its stages with 'FROM ${BASE_IMAGE}' and use FROM, COPY, RUN, ENV, ARG, WORKDIR and USER",
        code="toolchain",
    )
