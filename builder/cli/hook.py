from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import Json

if TYPE_CHECKING:
    from builder.hook.place import Place
    from builder.hook.queue import Job
    from builder.hook.settings import Settings

hook = typer.Typer(name="hook", help="Build what is pushed to a git repository.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="REPO", help="The repository's folder, on the server.")]


@hook.command("install")
def install(
    repository: Folder,
    branch: Annotated[list[str] | None, typer.Option("--branch", help="A branch to build (main).")] = None,
    push: Annotated[
        str | None, typer.Option("--push", metavar="HOST/PREFIX", help="Push releases to HOST/PREFIX/NAME.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Private key to sign with.")] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", metavar="FOLDER_OR_URL", help="Step results and blobs (REPO/tinsmith/store); a URL is shared."
        ),
    ] = None,
    releases: Annotated[Path | None, typer.Option("--releases", help="Releases (REPO/tinsmith/releases).")] = None,
    engine: Annotated[str, typer.Option("--engine", help="auto, docker, local or dask.")] = "auto",
    settings: Annotated[
        Path | None, typer.Option("--settings", metavar="FILE", help="A tinsmith.toml for the builds.")
    ] = None,
    manifests: Annotated[
        list[str] | None, typer.Option("--manifests", metavar="PATH", help="Manifests in the repository (manifests).")
    ] = None,
) -> None:
    """Have a repository build what is pushed to it: writes its post-receive hook and its settings.

    A hook that somebody else wrote is left alone. Install again to change the settings.

    Example: tinsmith hook install /srv/git/models.git --push registry.example.org/models --key /srv/keys/team.key
    """
    from builder.errors import UsageError
    from builder.hook import install as installing
    from builder.hook.settings import Settings
    from builder.printed import line
    from builder.store.places import is_shared

    place = installing.place_of(repository)
    installing.check_itself(repository)
    for file in (key, settings):
        if file is not None and not file.is_file():
            raise UsageError(f"there is no file {file}")
    chosen = Settings(
        branches=tuple(branch or ["main"]),
        store=(store if is_shared(store) else Path(store).absolute()) if store else place.store,
        releases=releases.absolute() if releases else place.releases,
        push=push,
        key=key.absolute() if key else None,
        engine=engine,
        toml=settings.absolute() if settings else None,
        paths=tuple(path.rstrip("/") for path in manifests) if manifests else ("manifests",),
    )
    path = installing.install(place, chosen)
    print(line(f"{path}  builds {', '.join(chosen.branches)}" + (f", pushes to {push}" if push else "")))
    print(line(f"what it did: tinsmith hook status {repository}"))


@hook.command("run")
def run() -> None:
    """What the hook calls, with git's lines on standard input: puts jobs into the queue and starts a worker.

    Example: tinsmith hook run < lines
    """
    from builder.errors import UsageError
    from builder.hook import programs, pushed, queue
    from builder.hook.place import Place
    from builder.hook.settings import read
    from builder.printed import line

    place = Place(Path(os.environ.get("GIT_DIR") or ".").resolve())
    settings = read(place)
    if settings is None:
        return  # hooks can be shared by repositories that are none of ours
    try:
        updates = pushed.updates(os.fsdecode(sys.stdin.buffer.read()).splitlines(keepends=True))
    except ValueError as error:
        raise UsageError(str(error)) from error
    jobs = [queue.add(place, update) for update in pushed.to_build(updates, settings.branches)]
    if jobs:
        programs.start_worker(place.git_dir, place.folder / "worker.log")
    for job in jobs:
        for text in _announced(place, settings, job):
            print(line(f"tinsmith: {text}"))


@hook.command("work")
def work(repository: Folder) -> None:
    """Do the jobs that wait, unless another worker is at them. Run it after a restart of the machine.

    Example: tinsmith hook work /srv/git/models.git
    """
    from builder.hook.install import place_of
    from builder.hook.worker import work as work_on

    place = place_of(repository)
    if not work_on(place):
        print("another worker is at it")


@hook.command("status")
def status(repository: Folder, as_json: Json = False) -> None:
    """List the jobs of a repository, oldest first: waiting, running, done or failed, and where their logs are.

    Example: tinsmith hook status /srv/git/models.git
    """
    from dataclasses import asdict

    from builder.hook import queue
    from builder.hook.install import installed, place_of
    from builder.printed import line

    place = place_of(repository)
    running = queue.running(place)
    found = [(job, "running" if running and job.number == running.number else job.state) for job in queue.jobs(place)]
    if as_json:
        jobs = [{**asdict(job), "state": state, "log": str(place.log(job.number))} for job, state in found]
        print(json.dumps({"format": 1, "jobs": jobs}, indent=2, sort_keys=True))
        return
    for job, state in found:
        branch = job.ref.removeprefix("refs/heads/")
        print(line(f"{job.number:>4}  {state:7}  {branch} {_span(job)}  {place.log(job.number)}"))
        for text in job.said:
            print(line(f"      {text}"))
    if not installed(place):
        print(line(f"no hook is installed: tinsmith hook install {repository}"))
    elif not found:
        print("no jobs yet")
    elif running is None and any(state == "waiting" for _, state in found):
        print(line(f"no worker is at them: tinsmith hook work {repository}"))


@hook.command("retry")
def retry(
    repository: Folder, number: Annotated[int, typer.Argument(metavar="JOB", help="The number of a failed job.")]
) -> None:
    """Put a failed job into the queue once more, and start a worker.

    Example: tinsmith hook retry /srv/git/models.git 7
    """
    from builder.errors import UsageError
    from builder.hook import programs, queue
    from builder.hook.install import place_of
    from builder.hook.pushed import Update

    place = place_of(repository)
    found = [job for job in queue.jobs(place) if job.number == number and job.state == "failed"]
    if not found:
        raise UsageError(f"there is no failed job {number}", help=f"tinsmith hook status {repository}")
    job = queue.add(place, Update(found[0].ref, found[0].old, found[0].new))
    programs.start_worker(place.git_dir, place.folder / "worker.log")
    print(f"job {job.number}: {place.log(job.number)}")


def _span(job: Job) -> str:
    return f"{job.old[:8] if job.old else 'nothing'}..{job.new[:8]}"


def _announced(place: Place, settings: Settings, job: Job) -> list[str]:
    """What ``job`` will do, for whoever pushed."""
    from builder.changes import cost
    from builder.errors import TinsmithError
    from builder.hook.job import changes

    heading = f"job {job.number}, {job.ref.removeprefix('refs/heads/')}"
    try:
        found = changes(place, settings, job.old, job.new)
    except TinsmithError as error:
        return [f"{heading}: {error.message}"]
    building = [change for change in found.changes if change.builds]
    told = [f"{change.path} is invalid" for change in found.changes if change.problems is not None]
    told += [f"{change.path}  {' '.join(change.changed_steps())}" for change in building]
    if not told:
        return [f"{heading}: nothing to build, no plan changed"]
    left = cost.seconds(cost.to_build(building), cost.cached_in(settings.store)).to_run
    shown = told[:_SHOWN] + ([f"… and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else [])
    return [f"{heading}: {cost.in_words(left)}", *shown, f"log: {place.log(job.number)}"]


_SHOWN = 10
