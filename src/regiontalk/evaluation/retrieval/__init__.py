"""Retrieval (image to sentence, sentence to image): ranks, recalls, and where scores come from."""
