"""10,000 JPEGs of 640x480 through the real ingest, beside Pillow alone decoding the same files.

``python -m tests.bench.jpegs [N]``: in alternating runs, in the same toolchain. Ingest reads, hashes, decodes, checks
and splits them and writes the records, in two processes as in a build; Pillow reads and decodes, in a plain loop, which
is the figure to be held, and in two threads, which is what this machine could do at most.
"""

from __future__ import annotations

import statistics
import sys
import tempfile

from tests.bench.toolchain import run

THREADS, ROUNDS, LEAST_RATIO = 2, 3, 0.8

_WRITE = """
import io, json, os, sys
import numpy
from PIL import Image, ImageFilter
folder, count = sys.argv[1], int(sys.argv[2])
for name in ("images", "annotations"):
    os.makedirs(os.path.join(folder, name))
xml = "<annotation><size><width>640</width><height>480</height></size><object><name>thing</name><bndbox>" \\
      "<xmin>10</xmin><ymin>20</ymin><xmax>200</xmax><ymax>300</ymax></bndbox></object></annotation>"
kinds = []
for number in range(50):
    random = numpy.random.RandomState(number)
    small = Image.fromarray(random.randint(0, 256, (60, 80, 3)).astype(numpy.uint8)).resize((640, 480), Image.BICUBIC)
    grain = random.randint(-12, 13, (480, 640, 3))
    image = Image.fromarray((numpy.asarray(small, numpy.int16) + grain).clip(0, 255).astype(numpy.uint8))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    kinds.append(out.getvalue())
for number in range(count):
    # Bytes after the end marker, as cameras write them, make each file another.
    with open(os.path.join(folder, "images", "%06d.jpg" % number), "wb") as stream:
        stream.write(kinds[number % 50] + b"%d" % number)
    with open(os.path.join(folder, "annotations", "%06d.xml" % number), "w") as stream:
        stream.write(xml)
print(json.dumps(sum(map(len, kinds)) / 50))
"""
_INGEST = """
import json, sys, time
import tensorflow
import contract, ingest
contract.emit = lambda *a, **k: None
settings = {"format": "voc", "images": "images", "annotations": "annotations", "classes": ["thing"],
            "split": {"eval": 0.2, "seed": 1}}
begun = time.time()
inputs = {"source": sys.argv[1]}
ingest.main(contract.Request("ingest", {"dataset": settings}, inputs, sys.argv[2], int(sys.argv[3]), "n"))
print(json.dumps(time.time() - begun))
"""
_PILLOW = """
import concurrent.futures, json, os, sys, time
from PIL import Image
folder = os.path.join(sys.argv[1], "images")
def decode(name):
    with open(os.path.join(folder, name), "rb") as stream:
        image = Image.open(stream)
        image.load()
begun = time.time()
with concurrent.futures.ThreadPoolExecutor(int(sys.argv[2])) as pool:
    for _ in pool.map(decode, sorted(os.listdir(folder))):
        pass
print(json.dumps(time.time() - begun))
"""


def made_photographs(folder: str, count: int) -> tuple[str, float]:
    """A Pascal VOC folder of ``count`` JPEGs with one "thing" each, and their mean size in bytes."""
    return folder, run(_WRITE, folder, str(count))


def main(count: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        _, size = made_photographs(folder, count)
        alone, both, ours = [], [], []
        for number in range(ROUNDS):
            alone.append(run(_PILLOW, folder, "1"))
            both.append(run(_PILLOW, folder, str(THREADS)))
            with tempfile.TemporaryDirectory() as output:
                ours.append(run(_INGEST, folder, output, str(THREADS)))
            rates = (count / seconds[-1] for seconds in (alone, both, ours))
            print(f"round {number + 1}: Pillow {next(rates):.0f}/s, in {THREADS} threads {next(rates):.0f}/s, "
                  f"ingest {next(rates):.0f}/s", flush=True)  # fmt: skip
    ratio, most = (
        statistics.median(one / other for one, other in zip(peer, ours, strict=True)) for peer in (alone, both)
    )
    print(f"{count:,} JPEGs of 640x480, {size / 1000:.0f} kB each: ingest runs at {ratio:.2f} of Pillow alone, "
          f"at {most:.2f} of Pillow in {THREADS} threads (medians of {ROUNDS})")  # fmt: skip
    return int(ratio < LEAST_RATIO)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
