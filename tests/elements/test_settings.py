"""What is wrong with a source is told by key before anything starts, and no two sources share a turn."""

from pathlib import Path

import pytest

from groundstation.config import ConfigError, load_config
from groundstation.elements.settings import SourceSettings
from tests.parts.config_files import SETTINGS, write_files

SOURCE = '[[element_sources]]\nname = "one"\nkind = "celestrak"\n'
ACCOUNT = 'username = "me"\npassword_file = "groundstation.toml"\n'
AT = "groundstation.toml: element_sources"


def lines_of(directory: Path, sources: str) -> list[str]:
    path = write_files(directory / "station", settings=sources + SETTINGS)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [line.replace(f"{path.parent}/", "") for line in caught.value.lines]


@pytest.mark.parametrize(
    ("sources", "line"),
    [
        (SOURCE.replace("one", "files"), f'{AT}[0].name: found "files", expected another'),
        (SOURCE + 'group = "a"\nnorad_ids = [1]\n', f"{AT}[0].group: found together with norad_ids"),
        (SOURCE + f"norad_ids = {list(range(1, 22))}\n", f"{AT}[0].norad_ids: 21 numbers, expected 20 at most"),
        (SOURCE + ACCOUNT, f"{AT}[0].username: expected none"),
        (SOURCE.replace("celestrak", "space-track"), f"{AT}[0].username: expected with password_file"),
        (SOURCE.replace("celestrak", "space-track") + ACCOUNT + 'group = "a"\n', f'{AT}[0].group: found "a"'),
        (SOURCE + "every_h = 1.9\n", f"{AT}[0].every_h: found 1.9, expected float from 2 to 168"),
        (SOURCE.replace("celestrak", "n2yo"), f'{AT}[0].kind: found "n2yo", expected one of '),
        (SOURCE + 'url = "ftp://x"\n', f'{AT}[0].url: found "ftp://x"'),
        (SOURCE + 'url = "https://me:secret@x"\n', f"{AT}[0].url: found "),
        (SOURCE + 'password = "x"\n', f"{AT}[0].password: unknown key, "),
        (SOURCE + 'group = "a"\n' + SOURCE + 'group = "b"\n', 'element_sources[].name: found "one" twice'),
        (SOURCE + SOURCE.replace("one", "two"), "would be asked twice, expected once"),
    ],
)
def test_a_wrong_source_is_named_by_key(tmp_path: Path, sources: str, line: str) -> None:
    found = lines_of(tmp_path, sources)
    assert any(line in one for one in found), found
    assert not any("secret" in one for one in found)


def test_without_sources_nothing_is_fetched(tmp_path: Path) -> None:
    assert load_config(write_files(tmp_path)).settings.element_sources == ()


def test_the_catalogue_s_own_numbers_in_orbit_are_asked_for(tmp_path: Path) -> None:
    config = load_config(write_files(tmp_path, settings=SOURCE + SETTINGS))
    (source,) = config.settings.element_sources
    assert [one.url for one in source.requests([61231])] == [
        "https://celestrak.org/NORAD/elements/gp.php?CATNR=61231&FORMAT=json"
    ]


def test_another_name_for_the_same_question_is_no_other_turn() -> None:
    one, other = (SourceSettings(name=name, kind="celestrak", group="active") for name in ("one", "other"))
    assert one.requests(()) == other.requests((5,))


def test_one_account_has_one_turn_whatever_it_asks_for() -> None:
    account = SourceSettings(name="st", kind="space-track", username="me", password_file=Path("x"))
    (some,), (more,) = account.requests([5]), account.requests([5, 6])
    assert some.address == more.address
    assert some.url != more.url
