"""Parts of every kind for synflaw-audit."""
