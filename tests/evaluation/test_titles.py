"""Every metric that is printed has a title, in the order in which it is printed."""

from __future__ import annotations

from regiontalk.evaluation import titles
from regiontalk.evaluation.captions.files import JAVA_METRICS
from regiontalk.evaluation.captions.metric import NAMES as CAPTION_NAMES
from regiontalk.evaluation.grounding.metric import METRICS
from regiontalk.evaluation.objects.metric import NAMES as OBJECT_NAMES
from regiontalk.evaluation.retrieval.metric import NAMES as RANKING_NAMES
from regiontalk.evaluation.retrieval.metric import WAYS


def test_every_metric_has_a_title() -> None:
    assert tuple(titles.RANKING) == RANKING_NAMES and tuple(titles.WAYS) == WAYS
    assert tuple(titles.GROUNDING) == METRICS
    assert tuple(titles.OBJECTS) == OBJECT_NAMES
    assert titles.QUERIES.keys() == titles.QUERIES_IN_FULL.keys()
    # `cider` is the same number as `cider_d`, and shown beside it for regions only
    assert {*titles.CAPTIONS, "cider"} == {*CAPTION_NAMES, *JAVA_METRICS}
    assert {*titles.REGION_CAPTIONS} == {*CAPTION_NAMES, "meteor"} - {"cider_plain"}
