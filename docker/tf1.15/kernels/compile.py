"""Compiles the kernels for each CPU class into lib/tinsmith of the Python environment that runs this.

The compiler is the one of the toolchain's own requirements.lock, so the same sources give the same bytes everywhere.
It contracts nothing by itself (-ffp-contract=off): what is fused with what is written in the sources.
"""

import os
import subprocess
import sys
import tempfile

CPU_CLASSES = {"x86-64-v3": "x86_64_v3", "x86-64-v4": "x86_64_v4"}
OPTIONS = (
    "-target x86_64-linux-gnu.2.17 -std=c++17 -O3 -ffp-contract=off -fno-exceptions -fno-rtti -fno-sanitize=all"
    " -fvisibility=hidden -fPIC -shared -s -nostdlib++ -Wall -Wextra -Werror"
).split()


def main():
    sources = os.path.dirname(os.path.abspath(__file__))
    output = os.path.join(sys.prefix, "lib", "tinsmith")
    names = sorted(name for name in os.listdir(sources) if name.endswith(".cc"))
    if not os.path.isdir(output):
        os.makedirs(output)
    with tempfile.TemporaryDirectory() as cache:
        environ = dict(os.environ, ZIG_GLOBAL_CACHE_DIR=cache, ZIG_LOCAL_CACHE_DIR=cache)
        for cpu_class, cpu in sorted(CPU_CLASSES.items()):
            library = os.path.join(output, "kernels-%s.so" % cpu_class)
            command = [sys.executable, "-m", "ziglang", "c++", "-mcpu=" + cpu] + OPTIONS + names + ["-o", library]
            # Relative names: no path of this machine gets into the library.
            subprocess.check_call(command, cwd=sources, env=environ)
    return 0


if __name__ == "__main__":
    sys.exit(main())
