"""A store that is away or refuses: how long to wait for it, and what to say."""

from __future__ import annotations

import random
import re
import time

from obstore.exceptions import BaseError

from builder.errors import StoreUnreachable

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_FINAL = {
    "NoSuchBucket": ("has no such bucket", "make the bucket, or mend the name"),
    "incorrectly configured region": ("is in another region", "set AWS_REGION to the bucket's"),
    "169.254.169.254": (
        "was asked without credentials",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (on AWS a role of the machine will do)",
    ),
    "status code: 501": ("does not know writes on condition", "use a server with If-Match and If-None-Match for PUT"),
    "(os error 13)": ("may not be written or read by you", "ask its owner for access"),
    "(os error 28)": ("is full", "free some space, or choose another store"),
    "(os error 122)": ("is full for you (quota)", "free some space, or choose another store"),
    "(os error 30)": ("cannot be written: the file system is read-only", "mount it for writing"),
}
"""What no patience mends, by what its error says: what it means and what to do."""


def is_final(error: BaseError) -> bool:
    """Whether no patience mends ``error``."""
    text = str(error)
    return any(sign in text for sign in _FINAL) or bool(re.search(r"status code: 4(?!0[89]|29)", text))


def unreachable(address: str, patience: float, error: Exception) -> StoreUnreachable:
    """What to say of ``error``, which is final or has outlasted the ``patience`` (seconds)."""
    text = str(error)
    for sign, (meaning, way_out) in _FINAL.items():
        if sign in text:
            return StoreUnreachable(f"the store {address} {meaning}", help=way_out)
    if re.search(r"status code: 40[13]", text):
        return StoreUnreachable(
            f"the store {address} refuses you: {reason(error)}",
            help="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY have to be those of somebody who may list, read, "
            "write and delete there",
        )
    if isinstance(error, BaseError) and is_final(error):
        return StoreUnreachable(
            f"the store {address} refuses: {reason(error)}", help="is it an S3 server, and of a newer kind?"
        )
    return StoreUnreachable(
        f"the store {address} was away for {patience:g} s: {reason(error)}",
        help="is it up, and reachable from this machine? What is done is kept: run the same command again "
        "(TINSMITH_STORE_PATIENCE=SECONDS waits longer)",
    )


class Waiting:
    """How long one operation has made no progress, and the pauses between its tries."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.progress()

    def progress(self) -> None:
        self._deadline = time.monotonic() + self._patience
        self._pause = _FIRST_PAUSE

    def again(self) -> bool:
        """Waits a moment; False if the patience is at an end."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return False
        # Not all at once when the store is back.
        time.sleep(min(left, self._pause * random.uniform(0.5, 1.0)))
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return True


def reason(error: Exception) -> str:
    """What of obstore's page of text is for people."""
    text = str(error)
    if said := re.search(r"<Message>([^<]*)</Message>", text):
        return said.group(1)[:300]
    return re.split(r"\n|: <\?xml", text, maxsplit=1)[0][:300]
