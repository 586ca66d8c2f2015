from __future__ import annotations

import os
import platform


def doctor() -> None:
    """Say what this machine can run, and where things are kept.

    Example: tinsmith doctor
    """
    from builder.engine.select import describe_engines
    from builder.settings import FILES, RELEASES, STORE, cache_folder

    print(f"machine    {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    for line in describe_engines():
        print(line)
    print(f"store      {os.environ.get('TINSMITH_STORE', STORE)}")
    print(f"releases   {os.environ.get('TINSMITH_RELEASES', RELEASES)}")
    print(f"files      {FILES}")
    print(f"cache      {cache_folder()}")
