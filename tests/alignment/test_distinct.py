from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.alignment.distinct import Distinct, key_of


@given(st.lists(st.sampled_from("abcd"), max_size=12))
def test_names_numbers_and_members(keys: list[str]) -> None:
    names = np.random.default_rng(len(keys)).permutation(len(keys))
    found = Distinct(keys, names)
    assert len(found) == len(set(keys))
    assert found.repeats == (len(set(keys)) < len(keys))
    key = dict(zip(names.tolist(), keys, strict=True))
    assert [key[name] for name in found.first.tolist()] == list(dict.fromkeys(keys))
    assert all(key[found.first[found.number[name]]] == key[name] for name in key)
    for start in range(len(found)):
        members = found.members(slice(start, len(found))).tolist()
        assert sorted(members) == sorted(name for name in key if found.number[name] >= start)
        assert [found.number[name] for name in members] == sorted(
            found.number[name] for name in members
        )


def test_keys_are_of_values_type_and_shape() -> None:
    zeros = np.zeros((2, 3), np.float32)
    assert key_of(zeros) == key_of(np.zeros((4, 3), np.float32)[::2])
    others = [zeros.T, zeros.astype(np.int32), zeros[:1], zeros.reshape(-1), zeros + 1]
    assert len({key_of(each) for each in (zeros, *others)}) == 6
    assert key_of(zeros, zeros) != key_of(zeros)
