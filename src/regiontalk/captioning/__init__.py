"""Captions: the recurrent captioner with attention (Eq. 13 to 15) in NumPy, beam search, and reranking."""
