"""Fails as its parameters say."""

import os
import signal
import sys

import contract


def main(request):
    how = request.params["how"]
    print("about to fail: %s" % how)
    if how == "raise":
        raise RuntimeError("the reason is here")
    if how == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exit":
        sys.exit(7)
    if how == "lines":
        for number in range(100000):
            print("line %d" % number)
        sys.exit(1)
    raise contract.Failure(how, "this is wrong", "do that instead")
