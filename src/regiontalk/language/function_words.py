"""English words that name nothing: articles, prepositions, conjunctions, pronouns, auxiliary verbs and the like."""

from __future__ import annotations

_WORDS = """
a about above across after against along alongside am amid among an and another any are around as at atop away back be
because been before behind being below beneath beside besides between beyond both but by can could did do does doing
down during each either every for from front had has have having he her hers herself him himself his how i if in inside
into is it its itself just like many may me might more most must my near next no nor not of off on one onto or other
others our out outside over own past per she should so some such than that the their theirs them themselves then there
these they this those through to together too toward towards under underneath until up upon us very was we were what
when where which while who whom whose will with within without would you your
"""
FUNCTION_WORDS = frozenset(_WORDS.split())
