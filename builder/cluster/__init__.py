"""Builds on many machines, with Dask (decision 25).

On the machine that builds: ``fill`` asks ``client`` to have a ``graph`` of steps run in one ``round`` after the other,
over a ``connection``, with a ``watch`` on workers; ``sources`` and ``job`` put data and code into the store; ``banned``
sends workers away that gave wrong bytes.

On a worker's: ``worker`` starts ``child`` again whenever it ends; ``preload`` makes of a Dask worker one of tinsmith's,
with what the ``machine`` has as ``resources`` and a ``context``; ``work`` runs a job, whose ``events`` go to the build.
"""
