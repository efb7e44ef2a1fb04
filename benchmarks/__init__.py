"""What rldk costs, as ratios against a baseline measured in the same run. `python -m benchmarks` runs all of it."""
