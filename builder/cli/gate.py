"""The trust policy of this machine and project, as the verbs that take releases from elsewhere ask it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from builder.registry.gate import Gate

AllowUnsigned = Annotated[
    bool, typer.Option("--allow-unsigned", help="Take what no rule in tinsmith.toml covers; it lifts no rule.")
]


def gate(allow_unsigned: bool) -> Gate:
    """Errors as for ``configurations`` and ``load_policy``."""
    from builder.configuration import configurations
    from builder.registry.gate import Gate
    from builder.settings import state_folder
    from builder.trust.memory import Memory
    from builder.trust.policy import load_policy

    now = datetime.datetime.now(datetime.UTC)
    return Gate(load_policy(configurations()), Memory(state_folder()), now, allow_unsigned)
