"""The folder of pictures of a dataset: finds the one that an annotation means, by path, file name or stem."""

import functools
import os
import posixpath

import pictures
import places
from dataset import Rejected, printable

ENDINGS = (".jpg", ".jpeg", ".png")


class Gallery(object):
    """All pictures below the folder ``setting`` of ``source``; paths within it have forward slashes."""

    def __init__(self, source, setting):
        self._source, self._setting = source, setting
        self._folder = places.folder(source, setting, "images")
        self.names = sorted(_walk(self._folder))
        self._known = set(self.names)
        self._by_stem, self._by_file = {}, {}
        for name in self.names:
            self._by_stem.setdefault(posixpath.splitext(name)[0], []).append(name)
            file = posixpath.basename(name)
            self._by_file.setdefault(file, []).append(name)
            if "/" in name:
                self._by_stem.setdefault(posixpath.splitext(file)[0], []).append(name)

    def find(self, stem=None, filename=None):
        """The path of the picture with the path or stem ``stem``, else of the one that ``filename`` names.

        Rejected if there is none, or more than one.
        """
        if filename is not None and places.leads_out(filename):
            raise Rejected("filename %r leads out of the folder of pictures" % filename)
        for found in (self._by_stem.get(stem, []), self._named(filename)):
            if len(found) > 1:
                raise Rejected("more than one picture has this name: %s" % ", ".join(map(printable, found[:5])))
            if found:
                return found[0]
        named = [printable(name) for name in (stem, filename) if name is not None]
        raise Rejected("no picture %s" % " or ".join(named))

    def _named(self, filename):
        if filename is None:
            return []
        name = posixpath.normpath(filename.replace("\\", "/"))
        if name in self._known:
            return [name]
        # Tools write the path of the machine that they ran on: its last part may still be right.
        return self._by_file.get(posixpath.basename(name), [])

    def file(self, name):
        """The picture's path within the source, for reports."""
        return printable(posixpath.join(self._setting, name))

    def reader(self, name):
        """A function that reads the picture's bytes; it raises Rejected, naming the picture."""
        return functools.partial(_read, os.path.join(self._folder, name), self._source, self.file(name))


def _read(path, source, file):
    try:
        return places.read(path, source, pictures.MAX_BYTES)
    except Rejected as error:
        raise Rejected(str(error), file) from error


def _walk(top):
    """Paths of the pictures below ``top``. Links to folders are not followed."""
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = os.path.relpath(folder, top).replace(os.sep, "/")
        for name in files:
            if name.lower().endswith(ENDINGS):
                yield name if within == "." else posixpath.join(within, name)
