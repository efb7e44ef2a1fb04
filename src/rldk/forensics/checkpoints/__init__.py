"""Two checkpoints compared: every tensor, every value beside the tensors, and what of it is wrong."""
