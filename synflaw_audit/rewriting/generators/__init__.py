"""Who proposes rewrites: rules without a model, and models by their prompts."""
