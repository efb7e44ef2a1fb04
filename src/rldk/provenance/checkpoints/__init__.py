"""What checkpoints hold, read without a framework and without running anything of them: tensors as places in files."""
