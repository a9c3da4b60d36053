"""Rows are text that both databases take, whatever the values."""

from hypothesis import given
from hypothesis import strategies as st

from groundstation.archive.rows import json_text, json_texts

VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(st.characters())


@given(st.lists(VALUES))
def test_values_together_are_the_same_json_as_each_alone(values: list[object]) -> None:
    assert list(json_texts(values)) == [json_text(value) for value in values]
