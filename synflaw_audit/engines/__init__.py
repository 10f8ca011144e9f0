"""The audit's two passes over rows that live somewhere else than in files on this machine."""
