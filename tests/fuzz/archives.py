"""Mutated archives: ``python -m tests.fuzz.archives [N]``, 1,000 by default.

Tars and zips with bytes flipped, cut, doubled or swapped are unpacked. Each must be unpacked or refused by the one
error there is for it, within LONGEST seconds, with nothing written outside its folder and nothing left if refused.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

from builder.errors import DatasetError
from builder.fetch.archive import extract
from tests.fuzz.inputs import mutate
from tests.unit.test_fetch import FILES, HOSTILE, ignore, tar_of, zip_of

LONGEST = 1.0


def main(count: int) -> int:
    bases = [tar_of(FILES, mode) for mode in ("w", "w:gz", "w:bz2", "w:xz")] + [zip_of(FILES)]
    bases += [data for data in HOSTILE.values() if 0 < len(data) < 100_000]
    wrong, refused, slowest = 0, 0, 0.0
    for number in range(count):
        random_ = random.Random(number)
        with tempfile.TemporaryDirectory() as scratch:
            archive, folder = Path(scratch) / "archive", Path(scratch) / "outer" / "folder"
            folder.mkdir(parents=True)
            archive.write_bytes(mutate(random_, random_.choice(bases)))
            begun, problem = time.perf_counter(), None
            try:
                extract(archive, folder, ignore)
            except DatasetError:
                refused += 1
                problem = "left something behind" if list(folder.iterdir()) else None
            except Exception:
                problem = traceback.format_exc()
            seconds = time.perf_counter() - begun
            slowest = max(slowest, seconds)
            if [path.name for path in folder.parent.iterdir()] != ["folder"]:
                problem = "wrote outside its folder"
            if any(path.is_symlink() for path in folder.rglob("*")):
                problem = "left a link"
            if problem is None and seconds > LONGEST:
                problem = f"took {seconds:.2f} s"
            if problem:
                wrong += 1
                print(f"seed {number}: {problem}")
    print(f"{count:,} mutated archives: {wrong} wrong answers, {refused:,} refused, slowest {slowest:.2f} s")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
