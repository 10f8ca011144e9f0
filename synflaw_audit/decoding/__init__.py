"""How a model is made to answer without a format, its weights untouched.

- :class:`~synflaw_audit.decoding.rose.ReversePrompt`: what a prompt that asks for the format makes
  likelier is made less likely (ROSE); :class:`~synflaw_audit.decoding.rose.ReversePromptContrast`
  is the ``LogitsProcessor`` for whoever calls ``generate`` of ``transformers``, a server too.
- :class:`~synflaw_audit.decoding.ban.PhraseBan`: the format's phrases are barred, and what began
  one is taken back.

Both know the format by the :class:`~synflaw_audit.decoding.wordings.Wording` of an audit.
"""
