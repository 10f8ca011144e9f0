"""Merging fine-tunes of one base without any data: MetaGPT, beside what it is compared with."""
