"""README names every command, flag, configuration key and file that there is, and none that there is not."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from groundstation import __version__
from groundstation.cli import parser
from groundstation.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHIPPED = (ROOT / "config" / "groundstation.toml").read_text(encoding="utf-8")


def keys_of(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """Yield every key of the configuration as README writes it: `links[].port`."""
    for field in msgspec.structs.fields(struct):
        inner = msgspec.inspect.type_info(field.type)
        if isinstance(inner, msgspec.inspect.StructType):
            yield from keys_of(inner.cls, f"{prefix}{field.name}.")
        elif isinstance(inner, msgspec.inspect.VarTupleType) and isinstance(
            inner.item_type, msgspec.inspect.StructType
        ):
            yield from keys_of(inner.item_type.cls, f"{prefix}{field.name}[].")
        else:
            yield prefix + field.name


KEYS = sorted(keys_of(Settings))


def commands() -> dict[str, argparse.ArgumentParser]:
    [sub] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(sub.choices)


@pytest.mark.parametrize("key", KEYS)
def test_every_configuration_key_is_described(key: str) -> None:
    assert f"`{key}`" in README


def test_no_key_is_described_that_does_not_exist() -> None:
    table = README.partition("## Configuration")[2].partition("## ")[0]
    described = set(re.findall(r"`([a-z_]+(?:\[\])?\.[a-z_0-9]+)`", table))
    assert described <= set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_stands_in_the_shipped_configuration(key: str) -> None:
    name = key.rpartition(".")[2]
    assert re.search(rf"^(# )?{name} = ", SHIPPED, re.MULTILINE), f"{name} is not in config/groundstation.toml"


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_is_described_with_its_flags(name: str) -> None:
    [line] = [line for line in README.splitlines() if re.match(rf"\| `groundstation {name}[ `]", line)]
    flags = [flag for action in commands()[name]._actions for flag in action.option_strings if flag.startswith("--")]
    for flag in set(flags) - {"--help", "--config"}:
        assert flag in line, f"{name} has {flag}, which README does not show"
    assert set(re.findall(r"--[a-z0-9-]+", line)) <= set(flags)


def test_every_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("path", ["README.md", "systemd/groundstation.service"])
def test_pip_is_given_the_wheel_that_is_built_and_no_name_of_an_index(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    wheels = re.findall(r"pip install '?\./(groundstation-[^\s'\[]+)", text)
    assert set(wheels) == {f"groundstation-{__version__}-py3-none-any.whl"}
    assert not re.search(r"pip install '?groundstation", text)
