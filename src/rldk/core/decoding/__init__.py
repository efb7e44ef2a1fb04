"""The quick path of the JSONL decoder."""
