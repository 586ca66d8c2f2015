"""A COCO-sized annotation file, 118,000 pictures and 860,000 boxes with outlines, read by ingest's own reader.

``python -m tests.bench.coco_size``: annotations only, no picture is opened. Beside it stands Python's own json.load of
the same file, in the same toolchain and run: what reading it whole would take.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

from tests.bench.toolchain import run

IMAGES, BOXES, CATEGORIES = 118_000, 860_000, 80
MOST_SECONDS, MOST_MEGABYTES = 60, 500

_OURS = """
import json, sys, time
begun = time.time()
import coco
index = coco.Index(sys.argv[1], "instances.json")
boxes = sum(len(index.picture(row)[2]) for row in range(len(index)))
peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps({"seconds": time.time() - begun, "megabytes": peak, "images": len(index), "boxes": boxes}))
"""
_PEER = """
import json, sys, time
begun = time.time()
with open(sys.argv[1]) as stream:
    found = json.load(stream)
peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps({"seconds": time.time() - begun, "megabytes": peak, "boxes": len(found["annotations"])}))
"""


def write(path: Path) -> None:
    """COCO's own layout: annotations have an outline of some sixty numbers, as in instances_train2017.json."""
    random_ = random.Random(1)
    numbers = [round(random_.uniform(0, 640), 2) for _ in range(4096)]
    with path.open("w") as stream:
        stream.write('{"info": {"year": 2017}, "licenses": [], "images": [')
        for number in range(IMAGES):
            stream.write("," * (number > 0))
            json.dump(
                {
                    "license": 3,
                    "file_name": f"{number:012d}.jpg",
                    "coco_url": f"http://host/{number:012d}.jpg",
                    "height": 480,
                    "width": 640,
                    "date_captured": "2013-11-14 11:18:45",
                    "id": number * 5,
                },
                stream,
            )
        stream.write('], "annotations": [')
        for number in range(BOXES):
            start = random_.randrange(3900)
            x, y, width, height = (random_.uniform(1, 300) for _ in range(4))
            stream.write("," * (number > 0))
            stream.write(
                json.dumps(
                    {
                        "segmentation": [numbers[start : start + 60]],
                        "area": width * height,
                        "iscrowd": 0,
                        "image_id": random_.randrange(IMAGES) * 5,
                        "bbox": [x, y, width, height],
                        "category_id": random_.randrange(CATEGORIES),
                        "id": number,
                    }
                )
            )
        categories = [{"supercategory": "x", "id": number, "name": f"class {number}"} for number in range(CATEGORIES)]
        stream.write('], "categories": ' + json.dumps(categories) + "}")  # fmt: skip


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instances.json"
        write(path)
        ours, peer = run(_OURS, str(path)), run(_PEER, str(path))
        size = path.stat().st_size / 1e6
    assert (ours["images"], ours["boxes"]) == (IMAGES, BOXES)
    print(f"{size:.0f} MB of COCO JSON, {IMAGES:,} pictures, {BOXES:,} boxes")
    for name, found in (("ingest's reader", ours), ("json.load", peer)):
        print(f"  {name:16} {found['seconds']:6.1f} s  {found['megabytes']:7.0f} MB")
    return int(ours["seconds"] > MOST_SECONDS or ours["megabytes"] > MOST_MEGABYTES)


if __name__ == "__main__":
    raise SystemExit(main())
