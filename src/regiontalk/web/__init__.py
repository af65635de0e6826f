"""The server behind `regiontalk serve`: a page, and a JSON API (docs/api.md).

It needs the extra `web`.
"""
