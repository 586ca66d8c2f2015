"""Which step comes first: the one with the longest way still to go (upward rank, as in HEFT)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builder.digest import Digest


def ranks(needs: Mapping[Digest, Sequence[Digest]], seconds: Mapping[Digest, float]) -> dict[Digest, float]:
    """Seconds from the start of each step to the end of the longest path that begins with it, in linear time.

    ``needs`` has every step, and those that it waits for; what is named there but has no entry of its own is done
    already. ValueError if steps wait for each other in a circle.
    """
    found: dict[Digest, float] = {}
    after = dict.fromkeys(needs, 0.0)
    for key in reversed(ordered(needs)):
        found[key] = rank = seconds[key] + after[key]
        for needed in needs[key]:
            if needed in after and after[needed] < rank:
                after[needed] = rank
    return found


def ordered(needs: Mapping[Digest, Sequence[Digest]]) -> list[Digest]:
    """The steps, each behind all that it waits for. ValueError as for ``ranks``."""
    missing, users = waiting(needs)
    done = [key for key, count in missing.items() if not count]
    for key in done:  # grows
        for user in users.get(key, ()):
            missing[user] -= 1
            if not missing[user]:
                done.append(user)
    if len(done) < len(needs):
        raise ValueError("steps wait for each other in a circle")
    return done


def waiting(needs: Mapping[Digest, Sequence[Digest]]) -> tuple[dict[Digest, int], dict[Digest, list[Digest]]]:
    """How many steps each one waits for, and which wait for it."""
    missing: dict[Digest, int] = {}
    users: dict[Digest, list[Digest]] = {}
    for key, needed in needs.items():
        wanted = [other for other in dict.fromkeys(needed) if other in needs]
        missing[key] = len(wanted)
        for other in wanted:
            users.setdefault(other, []).append(key)
    return missing, users
