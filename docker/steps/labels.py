"""From the labels of the data to those of the model: renamed, merged, dropped or refused; and marked boxes."""

from dataset import Rejected, printable

LONGEST = 64


class Labels(object):
    """The rules of a manifest's dataset ``settings``, and counts of what they did."""

    def __init__(self, settings):
        self._classes = set(settings["classes"])
        self._map = settings.get("class_map", {})
        self._dropped = set(settings.get("drop_classes", ()))
        self._drops_others = settings.get("other_classes", "reject") == "drop"
        self._marked = settings.get("difficult", "keep")
        self.counts = {"boxes": 0, "kept": 0, "ignored": 0, "renamed": {}, "dropped": {}, "dropped_marked": 0}

    def sort(self, objects):
        """``objects`` (see dataset.Entry) as [(label of the model, edges, ignored)] and what to ``count`` if the
        picture is accepted. Rejected for a label that is named nowhere."""
        kept, notes = [], []
        for label, edges, marked in objects:
            own = self._resolve(label)
            if own is None:
                notes.append(("dropped", label))
            elif marked and self._marked == "drop":
                notes.append(("dropped_marked", label))
            else:
                ignored = bool(marked) and self._marked == "ignore"
                notes.append(("ignored" if ignored else "kept", label))
                if own != label:
                    notes.append(("renamed", label))
                kept.append((own, edges, ignored))
        return kept, notes

    def count(self, notes):
        """Takes the notes of ``sort`` for an accepted picture: boxes = kept + ignored + dropped + dropped_marked."""
        for what, label in notes:
            if what != "renamed":
                self.counts["boxes"] += 1
            if what in ("renamed", "dropped"):
                label = printable(label)[:LONGEST]
                self.counts[what][label] = self.counts[what].get(label, 0) + 1
            else:
                self.counts[what] += 1

    def _resolve(self, label):
        if label in self._map:
            return self._map[label]
        if label in self._classes:
            return label
        if label in self._dropped or self._drops_others:
            return None
        raise Rejected("unknown label %r" % label)
