"""A scheduler here, and its workers as jobs of a Slurm queue (dask-jobqueue): they start and end with this program.

    TINSMITH_STORE=s3://builds/store python slurm_cluster.py --workers 4 --interface ib0

The jobs inherit the variables: TINSMITH_STORE, TINSMITH_WORKER_*, AWS_*. Runs until Ctrl-C.
"""

import argparse
import contextlib
import signal

from dask_jobqueue import SLURMCluster


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4, help="jobs in the queue, a worker each")
    parser.add_argument("--cpus", type=int, default=2, help="processors of a job")
    parser.add_argument("--memory", default="10 GB", help="memory of a job")
    parser.add_argument("--time", default="24:00:00", help="the longest that a job runs")
    parser.add_argument("--interface", help="the network that the machines share, such as ib0")
    parser.add_argument("--port", type=int, default=8786)
    chosen = parser.parse_args()
    with SLURMCluster(
        cores=1,  # of a worker: steps at once
        processes=1,
        job_cpu=chosen.cpus,
        memory=chosen.memory,
        walltime=chosen.time,
        interface=chosen.interface,
        scheduler_options={"port": chosen.port, "dashboard_address": ":0"},
        # Ten minutes for a job to find this program; the network's own limit is not ours.
        death_timeout=600,
        worker_extra_args=["--preload", "builder.cluster.preload", "--no-dashboard"],
    ) as cluster:
        cluster.scale(jobs=chosen.workers)
        print(f"tinsmith build MANIFEST --engine dask --scheduler {cluster.scheduler_address}", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
