"""Search: an index of photos on disk, and engines that rank its photos and boxes.

See docs/search.md.
"""
