"""The run side of training: the run's folder, its checkpoints, its log, and its processes."""
