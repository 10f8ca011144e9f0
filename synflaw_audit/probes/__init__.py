"""What a model does: instructions, templates, facts, perplexity."""
