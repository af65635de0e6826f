"""Captions: the recurrent captioner with attention (Eq. 13 to 15), beam search, and reranking."""
