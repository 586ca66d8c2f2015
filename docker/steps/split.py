"""Which pictures are held out for evaluation: decided by their content and a seed, by list files, or by folders."""

import hashlib
import json
import os
import posixpath

import contract
import places
from dataset import Found, Rejected, printable

PLACEHOLDER = "<split>"
HALVES = ("train", "eval")
_MAX_LIST = 64 << 20
_SHOWN = 5


def read(reader, source, settings, progress, threads):
    """(Found of all, train pictures, eval pictures, number left out) by the ``split`` of ``settings``.

    ``reader`` is a format's ``read``. Failure if a list or folder is not there, or both halves share a picture.
    """
    how = settings["split"]
    if "train" in how:
        found = [_half(reader, source, settings, how[half], progress(half), threads) for half in HALVES]
        train, held_out, left = found[0].pictures, found[1].pictures, 0
        whole = _joined(found)
    else:
        whole = reader(source, settings, progress("reading"), threads)
        if "train_list" in how:
            train, held_out = (_listed(source, settings, whole, how[half + "_list"]) for half in HALVES)
            left = len(whole.pictures) - len({id(picture) for picture in train + held_out})
        else:
            train, held_out = divide(whole.pictures, how["eval"], how["seed"])
            left = 0
    check_apart(train, held_out)
    return whole, train, held_out, left


def _half(reader, source, settings, word, progress, threads):
    """What ``reader`` finds with ``word`` in place of <split>; ids get the word in front, so that halves differ."""
    put = {}
    for key in ("images", "annotations"):
        if key in settings:
            put[key] = settings[key].replace(PLACEHOLDER, word)
    if "records" in settings:
        put["records"] = [pattern.replace(PLACEHOLDER, word) for pattern in settings["records"]]
    found = reader(source, dict(settings, **put), progress, threads)
    pictures = [
        picture._replace(id=printable(word) + "/" + picture.id, file_name=printable(word) + "/" + picture.file_name)
        for picture in found.pictures
    ]
    return found._replace(pictures=pictures)


def _joined(found):
    first, second = found
    labels = {}
    for key, value in first.labels.items():
        other = second.labels[key]
        if isinstance(value, dict):
            labels[key] = {name: value.get(name, 0) + other.get(name, 0) for name in set(value) | set(other)}
        else:
            labels[key] = value + other
    # A folder of pictures that both halves share: what one of them uses is not left out by the other.
    alone = [name for name in first.unannotated if name in set(second.unannotated)]
    apart = set(first.unannotated) ^ set(second.unannotated)
    shared = {picture.file_name.split("/", 1)[1] for half in found for picture in half.pictures}
    alone += [name for name in apart if posixpath.basename(name) not in shared]
    return Found(
        sorted(first.pictures + second.pictures, key=lambda picture: picture.id),
        first.total + second.total,
        first.rejected + second.rejected,
        first.clipped + second.clipped,
        first.converted + second.converted,
        sorted(alone),
        labels,
    )


def _listed(source, settings, found, setting):
    """The pictures that the list file ``setting`` names. Failure if it names one that is not there at all."""
    path = os.path.join(source, setting)
    places.inside(path, source, "split", setting)
    try:
        text = places.read(path, source, _MAX_LIST).decode("utf-8-sig")
    except (Rejected, UnicodeDecodeError) as error:
        raise contract.Failure("dataset-list", "%s: %s" % (printable(setting), error), "UTF-8, a picture a line")
    known = {}
    for picture in found.pictures:
        for name in (
            picture.id,
            picture.file_name,
            posixpath.basename(picture.id),
            posixpath.basename(picture.file_name),
        ):
            known.setdefault(name, picture)
    refused = " ".join(item["file"] for item in found.rejected)
    chosen, unknown = {}, []
    for line in text.splitlines():
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        # VOC's lists of one class have a 1, 0 or -1 after the name: -1 is a picture without that class.
        head, _, mark = word.rpartition(" ")
        name = printable(head.strip() if mark in ("1", "0", "-1") and head.strip() else word)
        name = name[len("./") :] if name.startswith("./") else name
        picture = known.get(name) or known.get(posixpath.basename(name))
        if picture is not None:
            chosen[picture.id] = picture
        elif posixpath.splitext(posixpath.basename(name))[0] not in refused:
            unknown.append(name)
    if unknown:
        raise contract.Failure(
            "dataset-list",
            "%s names %d pictures that the dataset does not have: %s"
            % (printable(setting), len(unknown), ", ".join(unknown[:_SHOWN])),
            "a line is a picture's path, file name or stem",
        )
    return [chosen[key] for key in sorted(chosen)]


def check_apart(train, held_out):
    """Failure ``dataset-overlap`` if a picture, by its bytes, is in both halves: its score would mean nothing."""
    known = {picture.sha256: picture.id for picture in train}
    shared = [(known[picture.sha256], picture.id) for picture in held_out if picture.sha256 in known]
    if shared:
        raise contract.Failure(
            "dataset-overlap",
            "%d pictures are in training and in evaluation: %s"
            % (len(shared), ", ".join("%s = %s" % pair if pair[0] != pair[1] else pair[0] for pair in shared[:_SHOWN])),
            "take them out of one of the two, or split by share: {eval: 0.2, seed: 7}",
        )


def divide(pictures, share, seed):
    """``pictures`` as (train, eval) lists in the given order; eval gets ``round(share * N)`` of them.

    The order of the draw depends on each picture's bytes only, so neither renaming a file nor adding one
    reshuffles the rest. Exact copies draw the same number; if the cut falls between them all go to eval.
    """
    drawn = sorted(pictures, key=lambda picture: (_draw(picture, seed), picture.id))
    cut = int(round(share * len(drawn)))
    while 0 < cut < len(drawn) and drawn[cut].sha256 == drawn[cut - 1].sha256:
        cut += 1
    held_out = {picture.sha256 for picture in drawn[:cut]}
    return (
        [picture for picture in pictures if picture.sha256 not in held_out],
        [picture for picture in pictures if picture.sha256 in held_out],
    )


def _draw(picture, seed):
    return hashlib.sha256(("%d:%s" % (seed, picture.sha256)).encode()).hexdigest()


def describe(pictures):
    """``{"digest", "images": [{"id", "sha256"}]}``; the digest is over the list, in its order."""
    images = [{"id": picture.id, "sha256": picture.sha256} for picture in pictures]
    text = json.dumps(images, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {"digest": "sha256:" + hashlib.sha256(text.encode()).hexdigest(), "images": images}


def copies(pictures):
    """Ids of pictures with the same bytes, a sorted list for each group of two or more."""
    groups = {}
    for picture in pictures:
        groups.setdefault(picture.sha256, []).append(picture.id)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)
