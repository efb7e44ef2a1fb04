"""What a run read - data, weights, tokenizers - hashed again."""
