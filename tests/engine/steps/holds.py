"""Holds some memory for a while, then none for a while."""

import time


def main(request):
    held = bytearray(b"x") * (request.params["megabytes"] << 20)
    time.sleep(request.params["seconds"])
    del held
    time.sleep(request.params["seconds"] / 3.0)
