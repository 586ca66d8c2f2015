"""Which files and folders of a source count: those that the manifest's dataset section names."""

from __future__ import annotations

from pathlib import PurePosixPath

from builder.manifest.dataset import CsvDataset, FileDataset, TfRecordDataset, YoloDataset
from builder.manifest.split import PLACEHOLDER, ByFolder, ByList


def paths_of(dataset: FileDataset) -> tuple[str, ...]:
    """Paths within the source, sorted; a folder stands for all that lies in it."""
    if isinstance(dataset, TfRecordDataset):
        named = [_above_globs(pattern) for pattern in dataset.records]
    else:
        named = [dataset.images, dataset.annotations]
    if isinstance(dataset, YoloDataset | CsvDataset) and dataset.names is not None:
        named.append(dataset.names)
    split = dataset.split
    if isinstance(split, ByFolder):
        named = [path.replace(PLACEHOLDER, word) for path in named for word in (split.train, split.eval)]
    if isinstance(split, ByList):
        named += [split.train_list, split.eval_list]
    return tuple(sorted(set(named)))


def _above_globs(pattern: str) -> str:
    """The folder that all files of ``pattern`` lie in, or the file if it is no glob."""
    parts = PurePosixPath(pattern).parts
    plain = next((index for index, part in enumerate(parts) if any(sign in part for sign in "*?[")), len(parts))
    return str(PurePosixPath(*parts[:plain]))
