"""Compiles the kernels for each CPU class into lib/tinsmith of the Python environment that runs this, and beside them
cpu.so, which knows the class of the CPU.

The compiler is the one of the toolchain's own requirements.lock, so the same sources give the same bytes everywhere.
It contracts nothing by itself (-ffp-contract=off): what is fused with what is written in the sources.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CPU_CLASSES = {"x86-64-v3": "x86_64_v3", "x86-64-v4": "x86_64_v4"}
OPTIONS = (
    "-target x86_64-linux-gnu.2.17 -std=c++17 -O3 -ffp-contract=off -fno-exceptions -fno-rtti -fno-sanitize=all "
    "-fvisibility=hidden -fPIC -shared -s -nostdlib++ -Wall -Wextra -Werror"
)


def main():
    sources = Path(__file__).resolve().parent
    output = Path(sys.prefix, "lib", "tinsmith")
    output.mkdir(parents=True, exist_ok=True)
    # Relative names: no path of this machine gets into the libraries.
    names = sorted(path.name for path in sources.glob("*.cc") if path.name != "cpu.cc")
    libraries = {f"kernels-{cpu_class}.so": (cpu, names) for cpu_class, cpu in CPU_CLASSES.items()}
    libraries["cpu.so"] = ("x86_64", ["cpu.cc"])
    with tempfile.TemporaryDirectory() as cache:
        environ = dict(os.environ, ZIG_GLOBAL_CACHE_DIR=cache, ZIG_LOCAL_CACHE_DIR=cache)
        for library, (cpu, names) in sorted(libraries.items()):
            command = [sys.executable, "-m", "ziglang", "c++", f"-mcpu={cpu}", *OPTIONS.split(), *names]
            subprocess.run([*command, "-o", str(output / library)], cwd=str(sources), env=environ, check=True)


if __name__ == "__main__":
    main()
