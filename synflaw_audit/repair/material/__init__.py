"""What a repair trains on: flagged rows, replay, re-expression, encoding, batches."""
