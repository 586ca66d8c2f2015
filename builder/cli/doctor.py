from __future__ import annotations

import os
import platform


def doctor() -> None:
    """Say what this machine can run, and where things are kept.

    Example: tinsmith doctor
    """
    from builder.engine.select import describe_engines
    from builder.printed import line
    from builder.settings import FILES, RELEASES, STORE, cache_folder

    print(f"machine    {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    for text in describe_engines():
        print(text)
    print(line(f"cluster    {_cluster()}"))
    print(line(f"store      {_store(os.environ.get('TINSMITH_STORE', str(STORE)))}"))
    print(f"releases   {os.environ.get('TINSMITH_RELEASES', RELEASES)}")
    print(f"files      {FILES}")
    print(f"cache      {cache_folder()}")


def _store(place: str) -> str:
    """``place``, and of a shared store whether it can be used and how much of it is kept here."""
    from builder.errors import TinsmithError
    from builder.settings import store_cache_bytes
    from builder.store.places import is_shared, open_shared

    if not is_shared(place):
        return place
    try:
        open_shared(place)
        return f"{place}, shared; up to {store_cache_bytes() / 1e9:g} GB of it are kept in the cache"
    except TinsmithError as error:
        return f"{place}: {error.message}"


def _cluster() -> str:
    """Whether builds on a cluster can be asked for here, and which scheduler they would go to."""
    from importlib.metadata import PackageNotFoundError, version

    from builder.configuration import configurations
    from builder.errors import TinsmithError

    try:
        installed = f"Dask {version('distributed')}"
    except PackageNotFoundError:
        return "not installed: pip install 'tinsmith[cluster]'"
    if chosen := os.environ.get("TINSMITH_SCHEDULER"):
        return f"{installed}, scheduler {chosen} (TINSMITH_SCHEDULER)"
    try:
        for one in configurations():
            if one.settings.cluster.scheduler:
                return f"{installed}, scheduler {one.settings.cluster.scheduler} ({one.path})"
    except TinsmithError as error:
        return f"{installed}; {error.message}"
    return f"{installed}; no scheduler is set"
