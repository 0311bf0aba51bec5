"""Which partitions a sensor or a schedule requests, and in which runs."""
