"""Files of a data source, none of which may lead out of it: not by ``..``, an absolute path or a link."""

import functools
import os
import re

import contract
from dataset import Rejected

_DRIVE = re.compile(r"[A-Za-z]:")


def leads_out(relative):
    """Whether the path ``relative`` (of either system's separators) is absolute or climbs above its start."""
    parts = relative.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or "\0" in relative or _DRIVE.match(relative) is not None


def folder(source, relative, setting):
    """The folder ``relative`` of ``source``; Failure, naming the manifest's ``setting``, if there is none."""
    path = os.path.join(source, relative)
    if os.path.isabs(relative) or ".." in relative.split("/") or not _within(path, source):
        raise contract.Failure(
            "dataset-folder",
            "%s: %r leads out of the source" % (setting, relative),
            "name a folder within the dataset's source",
        )
    if not os.path.isdir(path):
        raise contract.Failure(
            "dataset-folder",
            "%s: the source has no folder %r" % (setting, relative),
            "set dataset.%s to the folder's path within the source" % setting,
        )
    return path


def inside(path, source, setting, relative):
    """Failure, naming the manifest's ``setting``, unless ``path`` is a plain file within ``source``."""
    if not _within(path, source) or ".." in relative.split("/"):
        raise contract.Failure(
            "dataset-file", "%s: %r leads out of the source" % (setting, relative), "name a file within the source"
        )
    if not os.path.isfile(path):
        raise contract.Failure(
            "dataset-file",
            "%s: the source has no file %r" % (setting, relative),
            "set dataset.%s to the file's path within the source" % setting,
        )


def _within(path, source):
    root = _real(source)
    # A file that is no link lies where its folder does: folders are few, files are many.
    if os.path.islink(path) or os.path.isdir(path):
        real = os.path.realpath(path)
    else:
        real = os.path.join(_real(os.path.dirname(path)), os.path.basename(path))
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


@functools.lru_cache(maxsize=1024)
def _real(folder):
    return os.path.realpath(folder)


def read(path, source, limit):
    """The bytes of the plain file ``path``; Rejected if it lies outside ``source`` or exceeds ``limit``."""
    if not _within(path, source):
        raise Rejected("symbolic link leads out of the source")
    if not os.path.isfile(path):
        raise Rejected("not a file")
    try:
        with open(path, "rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise Rejected("cannot be read: %s" % (error.strerror or error)) from error
    if len(data) > limit:
        raise Rejected("larger than %d bytes" % limit)
    return data
