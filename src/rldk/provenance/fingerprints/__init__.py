"""What a dataset or a model is, as digests: the same content gives the same digest, wherever it lies and however it is
cut into pieces, and any change gives another one."""
