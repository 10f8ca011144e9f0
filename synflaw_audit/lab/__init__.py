"""A controllable miniature world: damage a small model with a uniform format, repair it, measure.

``world`` holds invented people and the facts about them, ``instructions`` the requests whose
answers can be checked in code, of kinds that the repair has forms for (``known``) and of others
(``unknown``), ``prose`` ordinary questions and answers, ``corpora`` the rows made of all of them,
``tiny`` a small causal language model and its training loop, ``stages`` what it is taught and
asked, ``arms`` what is compared, ``cache`` models already trained; ``run`` puts it together, and
``tables`` shows what came out.
"""
