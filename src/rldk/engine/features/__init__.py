"""What a rule may ask of a metric's past, one kind of memory a file."""
