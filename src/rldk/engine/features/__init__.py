"""What a rule may ask about the past of a metric. Each file holds one kind of memory."""
