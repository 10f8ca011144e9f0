"""Who decides of a rewrite: its content, its credibility, and whether a format is in it.

A generator proposes and a discriminator vouches (after DEFLATE, Zhang et al., ACL 2023 industry
track). Only what every judge accepts replaces an answer.
"""
