from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.options import EngineName, Scheduler


def worker(
    scheduler: Scheduler = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="URL",
            envvar="TINSMITH_STORE",
            help="The store of the builds: s3://BUCKET/PREFIX or file:///FOLDER.",
        ),
    ] = None,
    engine: EngineName = "auto",
    name: Annotated[
        str | None, typer.Option("--name", help="Its name, which no other worker has (HOST-PROCESS).")
    ] = None,
    slots: Annotated[int, typer.Option("--slots", min=1, max=64, help="Steps at once.")] = 1,
    memory: Annotated[
        int | None,
        typer.Option(
            "--memory", metavar="MB", min=1, help="Memory for all its steps together (the machine's, less 512)."
        ),
    ] = None,
    gpu: Annotated[
        int | None, typer.Option("--gpu", metavar="N", min=0, help="GPUs that it offers (those that are found).")
    ] = None,
    toolchain: Annotated[
        list[str] | None,
        typer.Option("--toolchain", metavar="NAME", help="A toolchain that it runs, once for each (all)."),
    ] = None,
    resource: Annotated[
        list[str] | None,
        typer.Option("--resource", metavar="NAME=N", help="Anything else that steps may demand, once for each."),
    ] = None,
) -> None:
    """Run steps for builds of other machines, until it is stopped.

    Starts again when it is killed or runs out of memory, and waits for a scheduler that is not there.

    Example: tinsmith worker --scheduler tcp://head:8786 --store s3://builds/store
    """
    import importlib.util
    import os
    import socket

    from builder.configuration import scheduler_address
    from builder.errors import Interrupted, UsageError

    if importlib.util.find_spec("distributed") is None:
        raise UsageError("Dask is not installed", help="pip install 'tinsmith[cluster]'")
    from builder.cluster.worker import Settings, supervise

    address = scheduler_address(scheduler)
    if store is None:
        raise UsageError("no store is named", help="--store s3://bucket/folder or file:///folder, or TINSMITH_STORE")
    settings = Settings(
        scheduler=address,
        store=store,
        name=name or f"{socket.gethostname()}-{os.getpid()}",
        engine=engine,
        slots=slots,
        memory_mb=memory,
        gpus=gpu,
        toolchains=tuple(toolchain or ()),
        resources=tuple(resource or ()),
    )
    try:
        supervise(settings)
    except KeyboardInterrupt:
        raise Interrupted(f"worker {settings.name}: stopped") from None
