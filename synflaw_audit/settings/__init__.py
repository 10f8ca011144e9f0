"""What a user can say, once: the command line, settings files and Python are made from it.

Each field is an option of the command line (``--perplexity-model`` for ``perplexity_model``), a key
of the TOML file that ``--config`` names, and a keyword in Python. The class in which it stands is
the heading under which ``--help`` has it.
"""

from synflaw_audit.settings.audit import AuditSettings, Judging, Reading, Running
from synflaw_audit.settings.base import Setting

__all__ = ["AuditSettings", "Judging", "Reading", "Running", "Setting"]
