"""The ``tinsmith`` command: its verbs, and how every error ends."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from builder.cli import (
    build,
    capsule,
    changed,
    check,
    compile,
    detect,
    doctor,
    hook,
    index,
    init,
    key,
    lock,
    plan,
    pull,
    push,
    rebuild,
    releases,
    report,
    schema,
    sign,
    site,
    verify,
    why,
    worker,
)
from builder.errors import Interrupted, InvalidManifest, StoreUnreachable, TinsmithError
from builder.printed import printable


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"tinsmith {version('tinsmith')}")
        raise typer.Exit


app = typer.Typer(
    name="tinsmith",
    help="Build small object-detection models for phones and boards from a declarative manifest.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    init.init,
    check.check,
    lock.lock,
    plan.plan,
    changed.changed,
    build.build,
    compile.compile_,
    releases.list_,
    releases.show,
    report.report,
    detect.detect,
    rebuild.rebuild,
    why.why,
    verify.verify,
    pull.pull,
    push.push,
    capsule.capsule,
    site.site,
    sign.sign,
    worker.worker,
    doctor.doctor,
    schema.schema,
):
    app.command(name=verb.__name__.rstrip("_"))(verb)
for verbs in (key.key, index.index, hook.hook):
    app.add_typer(verbs)


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line and exits with one of the statuses of ``builder.errors``."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except InvalidManifest as error:
        from builder.manifest.render import render

        for part in getattr(error, "errors", [error]):
            print(render(part.diagnostics, part.source), file=sys.stderr)
        sys.exit(error.exit_status)
    except Interrupted as ended:
        print(printable(ended.message), file=sys.stderr)
        sys.exit(ended.exit_status)
    except TinsmithError as error:
        print(printable(f"error[{error.code}]: {error.message}"), file=sys.stderr)
        if error.help:
            print(printable(f"  {error.help}"), file=sys.stderr)
        sys.exit(error.exit_status)
    except OSError as error:
        # A folder or file named on the command line that cannot be used, or a full disk.
        where = f"{error.filename}: " if error.filename else ""
        print(printable(f"error[{StoreUnreachable.code}]: {where}{error.strerror or error}"), file=sys.stderr)
        sys.exit(StoreUnreachable.exit_status)
    except (KeyboardInterrupt, SystemExit) as exit:
        # typer makes an exit with this status of an interrupt, and says nothing.
        if isinstance(exit, SystemExit) and exit.code != 130:
            raise
        print("interrupted; what was finished is kept, run the same command to go on", file=sys.stderr)
        sys.exit(130)


def _terminated(*_: object) -> None:
    raise KeyboardInterrupt
