"""Takes ever more memory."""

import time


def main(request):
    hoard = []
    for _ in range(request.params["blocks"]):
        hoard.append(bytearray(b"x") * (16 << 20))
        time.sleep(0.02)
    print("got away with %d MB" % (len(hoard) * 16))
