"""Workers as users start them: by hand, over SSH, by Slurm, and, as far as a schema can say, by Kubernetes."""
