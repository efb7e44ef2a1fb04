"""Replicas of a command: started by a launcher, watched, limited, and ended with all that they started."""
