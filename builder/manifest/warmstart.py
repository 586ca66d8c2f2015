"""The ``train.init`` section: which weights a training starts from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from builder.manifest.datasource import Inside, Source
from builder.manifest.fields import Part, Problem, Share, refuse

_RELEASE = r"^[a-z0-9][a-z0-9-]*@[0-9A-Za-z.-]+$"


class WarmStart(Part):
    """A release of tinsmith, or a TensorFlow 1 checkpoint. Layers whose shape differs start anew, or are sliced."""

    release: Annotated[
        Annotated[str, StringConstraints(pattern=_RELEASE, max_length=128)] | None,
        Field(description="A released model, name@version."),
    ] = None
    checkpoint: Annotated[
        Source | None, Field(description="A TensorFlow 1 checkpoint, such as one of the model zoo's archives.")
    ] = None
    file: Annotated[
        Inside | None,
        Field(description="The checkpoint within its source, without .index; needed if there are several."),
    ] = None
    slice: Annotated[
        bool, Field(description="Take the most important channels where the checkpoint's layers are wider.")
    ] = False
    min_coverage: Annotated[
        Share, Field(description="Share of the network's parameters that must be restored, else the build fails.")
    ] = 0.0

    @model_validator(mode="after")
    def _one_origin(self) -> WarmStart:
        if self.release is None and self.checkpoint is None:
            raise refuse(Problem("missing-key", "init needs 'release' or 'checkpoint'", "or give: init: none"))
        if self.release is not None and self.checkpoint is not None:
            raise refuse(Problem("conflict", "init has both 'release' and 'checkpoint'", "keep one", ("release",)))
        if self.release is not None and self.file is not None:
            raise refuse(Problem("no-effect", "'file' belongs to 'checkpoint'", "remove it", ("file",)))
        return self
