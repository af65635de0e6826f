"""Captions against references: BLEU, ROUGE-L, CIDEr, METEOR, and runs over models and files."""
