from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.options import EngineName, Scheduler


def worker(
    scheduler: Scheduler = None,
    store: Annotated[
        str | None, typer.Option("--store", metavar="URL", envvar="TINSMITH_STORE", help="s3://… or file:///…")
    ] = None,
    engine: EngineName = "auto",
    name: Annotated[str | None, typer.Option("--name", help="What it is called (host and process).")] = None,
    slots: Annotated[int, typer.Option("--slots", min=1, max=64, help="Steps at once.")] = 1,
    memory: Annotated[
        int | None, typer.Option("--memory", metavar="MB", min=1, help="For all its steps together (the machine's).")
    ] = None,
    gpu: Annotated[int | None, typer.Option("--gpu", metavar="N", min=0, help="GPUs (those that are found).")] = None,
    toolchain: Annotated[
        list[str] | None, typer.Option("--toolchain", metavar="NAME", help="One that it runs (all); several times.")
    ] = None,
    resource: Annotated[
        list[str] | None, typer.Option("--resource", metavar="NAME=N", help="Anything else steps may demand.")
    ] = None,
) -> None:
    """Run steps for builds of other machines, until it is stopped.

    Starts again when it is killed or runs out of memory, and waits for a scheduler that is not there.

    Example: tinsmith worker --scheduler tcp://head:8786 --store s3://builds/store
    """
    import importlib.util
    import os
    import socket

    from builder.configuration import configurations
    from builder.errors import UsageError

    if importlib.util.find_spec("distributed") is None:
        raise UsageError("Dask is not installed", help="pip install 'tinsmith[cluster]'")
    from builder.cluster.worker import Settings, supervise

    settings = (one.settings.cluster.scheduler for one in configurations())
    scheduler = scheduler or next((found for found in settings if found), None)
    if scheduler is None:
        raise UsageError(
            "no scheduler is named",
            help="--scheduler tcp://HOST:8786, TINSMITH_SCHEDULER, or [cluster] scheduler in tinsmith.toml",
        )
    if not scheduler.startswith(("tcp://", "tls://", "ws://", "wss://")):
        raise UsageError(f"'{scheduler}' is no address of a scheduler", help="tcp://HOST:8786, or tls://")
    if store is None:
        raise UsageError("no store is named", help="--store s3://bucket/folder or file:///folder, or TINSMITH_STORE")
    supervise(
        Settings(
            scheduler=scheduler,
            store=store,
            name=name or f"{socket.gethostname()}-{os.getpid()}",
            engine=engine,
            slots=slots,
            memory_mb=memory,
            gpus=gpu,
            toolchains=tuple(toolchain or ()),
            resources=tuple(resource or ()),
        )
    )
