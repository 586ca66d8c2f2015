"""The steps are scripts of one flat folder: their tests import them as they import each other."""

import sys
from pathlib import Path

STEPS = Path(__file__).resolve().parents[2] / "docker" / "steps"
sys.path.insert(0, str(STEPS))
