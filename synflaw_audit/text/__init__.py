"""What an answer is made of: tokens, recurring phrases, templates, vectors, perplexity."""
