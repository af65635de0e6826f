"""Whether what is told as sure is so: found or not found, and how often what is 70 % sure is there."""
