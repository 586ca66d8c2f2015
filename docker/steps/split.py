"""Which pictures are held out for evaluation: decided by their content and a seed, and by nothing else."""

import hashlib
import json


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
