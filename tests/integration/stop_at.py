"""Runs a step as run.py does and sends itself a signal after an exact training step.

``STEPS_FOLDER REQUEST STEP SIGNAL``, by a toolchain's Python; no step 0 ever comes.
"""

import os
import sys


def main(folder, request, step, number):
    sys.path.insert(0, folder)
    import train  # noqa: F401, I001  (first: it sets TensorFlow up)

    import narration
    import run

    say = narration.Narration.step

    def say_and_stop(self, done, *details, **named):
        say(self, done, *details, **named)
        if done == step:
            os.kill(os.getpid(), number)

    narration.Narration.step = say_and_stop
    return run.run(request)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
