"""A configuration is good, or refused with one line for each thing that is wrong: file, key, found, expected."""

import os
from pathlib import Path

import msgspec
import pytest

from groundstation.config import INSTALLED, ConfigError, absolute, load_config
from groundstation.settings import ArchiveSettings
from tests.parts.config_files import DEFINITION, ELEMENTS, SETTINGS, write_files


def lines_of(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [line.replace(f"{path.parent}/", "") for line in caught.value.lines]


def test_a_good_configuration_has_its_paths_absolute_and_its_elements_named(tmp_path: Path) -> None:
    config = load_config(write_files(tmp_path))
    assert config.settings.archive.url == f"sqlite:///{tmp_path}/test.db"
    assert config.settings.satellites == tmp_path / "satellites"
    assert [(one.name, one.norad_id) for one in config.elements] == [("one-sat", 61231)]
    assert config.sites["hko"].mask_deg == 5


@pytest.mark.parametrize(
    ("found", "instead", "line"),
    [
        ('slug = "hko"', 'slug = "HKO"', 'groundstation.toml: stations[0].slug: found "HKO"'),
        (
            "latitude_deg = 22.30194",
            "latitude_deg = 122.3",
            "groundstation.toml: stations[0].latitude_deg: found 122.3",
        ),
        ("latitude_deg = 22.30194\n", "", "groundstation.toml: stations[0].latitude_deg: "),
        ("altitude_m = 32", 'altitude_m = "high"', 'groundstation.toml: stations[0].altitude_m: found "high"'),
        ("elevation_mask_deg = 5", "elevation_mask_deg = 90", "groundstation.toml: stations[0].elevation_mask_deg:"),
        (
            "altitude_m = 32",
            "altitude_m = 32\nhorizon = [[90, 5], [10, 5]]",
            "groundstation.toml: stations[0]: site hko: horizon is ((90.0, 5.0), (10.0, 5.0)), expected azimuths in",
        ),
        ("elevation_mask_deg", "elevation_mask", "groundstation.toml: stations[0].elevation_mask: "),
        ('client_id = "groundstation-test"', "", "groundstation.toml: links[0].client_id: "),
        ("[http]\nport = 0", "[http]\nport = 70000", "groundstation.toml: http.port: found 70000"),
        ("[http]", "[htpp]", "groundstation.toml: htpp: "),
        ('"sqlite:///test.db"', '"mysql://host/db"', 'groundstation.toml: archive.url: found "mysql"'),
        ("[[links]]", '[log]\nlevel = "loud"\n\n[[links]]', 'groundstation.toml: log.level: found "loud"'),
        ("[[links]]", "[passes]\nhorizon_h = 0\n\n[[links]]", "groundstation.toml: passes.horizon_h: found 0"),
        ("altitude_m = 32", "altitude_m = 32\nsetup_s = -1", "groundstation.toml: stations[0].setup_s: found -1"),
        (
            "altitude_m = 32",
            "altitude_m = 32\nmin_elevation_deg = 90",
            "groundstation.toml: stations[0].min_elevation_deg: found 90",
        ),
        (
            "altitude_m = 32",
            "altitude_m = 32\nmin_duration_s = true",
            "groundstation.toml: stations[0].min_duration_s: found true",
        ),
        ("[[links]]", "[contacts]\ncommit_s = -1\n\n[[links]]", "groundstation.toml: contacts.commit_s: found -1"),
        (
            "[[links]]",
            "[contacts]\ntake_without_packets = 1\n\n[[links]]",
            "groundstation.toml: contacts.take_without_packets: found 1",
        ),
        (
            "[[links]]",
            "[contacts]\npriorities = { one-sat = -2 }\n\n[[links]]",
            "groundstation.toml: contacts.priorities",
        ),
        (
            "[[links]]",
            "[contacts]\npriorities = { one-sat = 2, two-sat = 1 }\n\n[[links]]",
            'groundstation.toml: contacts.priorities: found "two-sat", expected a satellite of satellites',
        ),
        ("[[stations]]", "[[stations", "groundstation.toml: line 1, column 11: not TOML: "),
        (
            'name = "mqtt"',
            'name = "mqtt"\nclient_id = "two"\n\n[[links]]\nname = "mqtt"',
            'groundstation.toml: links[].name: found "mqtt" twice',
        ),
        (
            'name = "mqtt"',
            'name = "mqtt"\ntls_ca_file = "ca.pem"',
            "groundstation.toml: links[0].tls_ca_file: found ca.pem without tls, expected tls = true",
        ),
        (
            'name = "mqtt"',
            'name = "mqtt"\ntls = true\ntls_key_file = "groundstation.toml"',
            "groundstation.toml: links[0].tls_key_file: expected together with tls_certificate_file",
        ),
        (
            'name = "mqtt"',
            'name = "mqtt"\nshare_group = "a/b"',
            'groundstation.toml: links[0].share_group: found "a/b"',
        ),
        (
            'name = "mqtt"',
            'name = "mqtt"\nshare_group = "ground"',
            'groundstation.toml: links[0].share_group: found "ground", expected archive.url of a PostgreSQL server',
        ),
        ("[[stations]]", 'satellites = "none"\n[[stations]]', "none: expected a directory with one definition"),
        ("[[stations]]", 'elements = "none"\n[[stations]]', "none: expected a directory with element sets"),
    ],
)
def test_a_wrong_setting_is_named_with_file_key_and_expectation(
    tmp_path: Path, found: str, instead: str, line: str
) -> None:
    assert found in SETTINGS
    (only,) = lines_of(write_files(tmp_path, settings=SETTINGS.replace(found, instead, 1)))
    assert only.startswith(line)
    assert "expected" in only or "known" in only or "line" in only or "did you mean" in only


def test_a_password_in_the_database_url_is_refused_and_not_repeated(tmp_path: Path) -> None:
    url = "postgresql+psycopg://groundstation:hunter2@localhost/groundstation"
    (only,) = lines_of(write_files(tmp_path, settings=SETTINGS.replace("sqlite:///test.db", url)))
    assert only.startswith("groundstation.toml: archive.url:")
    assert "hunter2" not in only


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    settings = SETTINGS
    for found, instead in (
        ("altitude_m = 32", 'altitude_m = "high"'),
        ("elevation_mask_deg", "elevation_mask"),
        ('client_id = "groundstation-test"', "prot = 1883"),
        ("port = 0", "port = -1"),
    ):
        settings = settings.replace(found, instead)
    definition = DEFINITION.replace('raw = "uint"', 'raw = "word"').replace("in_orbit", "lost")
    assert lines_of(write_files(tmp_path / "a", settings=settings)) == [
        'groundstation.toml: stations[0].altitude_m: found "high", expected float from -500 to 9000',
        "groundstation.toml: stations[0].elevation_mask: unknown key, did you mean elevation_mask_deg?",
        "groundstation.toml: links[0].prot: unknown key, did you mean port?",
        "groundstation.toml: links[0].client_id: missing, expected str",
        "groundstation.toml: http.port: found -1, expected int from 0 to 65535",
    ]
    lines = lines_of(write_files(tmp_path / "b", definition=definition))
    assert [line.split(": ")[1] for line in lines] == ["status", "packets[0].parameters[0].raw"]


def test_faults_in_several_files_are_all_told_at_once(tmp_path: Path) -> None:
    lines = lines_of(
        write_files(
            tmp_path,
            settings=SETTINGS.replace("sqlite:///test.db", "mysql://x/y"),
            definition=DEFINITION.replace('raw = "uint"', 'raw = "word"'),
            elements=ELEMENTS.replace("9998", "9990"),
        )
    )
    assert [line.split(":")[0] for line in lines] == ["groundstation.toml", "satellites/one-sat.toml", "tle/one.tle"]


def test_a_definition_is_named_as_its_file(tmp_path: Path) -> None:
    (only,) = lines_of(write_files(tmp_path, definition=DEFINITION.replace('slug = "one-sat"', 'slug = "two-sat"')))
    assert only.startswith('satellites/one-sat.toml: slug: found "two-sat", expected "one-sat"')


def test_a_client_id_may_stand_twice_on_different_brokers_alone(tmp_path: Path) -> None:
    links = "\n".join(
        f'[[links]]\nname = "link-{n}"\nclient_id = "one"\nhost = "{host}"\n' for n, host in enumerate("aAb")
    )
    (only,) = lines_of(write_files(tmp_path, settings=links + SETTINGS))
    assert only == 'groundstation.toml: links[].client_id: found "one" twice on a:1883, expected each once'


@pytest.mark.parametrize(
    ("numbers", "slugs"),
    [("[61231]", ["one-sat"]), ("[61231, 61232]", ["two-sat"]), ("[61232]", [])],
)
def test_a_number_that_is_surely_one_satellite_s_is_no_other_one_s(
    tmp_path: Path, numbers: str, slugs: list[str]
) -> None:
    path = write_files(tmp_path)
    two = DEFINITION.replace("one-sat", "two-sat").replace("[61231]", numbers)
    (tmp_path / "satellites" / "two-sat.toml").write_text(two)
    expected = {
        "one-sat": "satellites/one-sat.toml: norad_ids: found 61231, which is that of two-sat, expected another",
        "two-sat": "satellites/two-sat.toml: norad_ids: found 61231, which is that of one-sat, expected another",
    }
    assert (lines_of(path) if slugs else load_config(path) and []) == [expected[slug] for slug in slugs]


def test_two_satellites_of_one_launch_may_share_candidates(tmp_path: Path) -> None:
    path = write_files(tmp_path, definition=DEFINITION.replace("[61231]", "[61231, 61232]"))
    two = DEFINITION.replace("one-sat", "two-sat").replace("[61231]", "[61231, 61232]")
    (tmp_path / "satellites" / "two-sat.toml").write_text(two)
    assert [one.name for one in load_config(path).elements] == ["one-sat", "two-sat"]


def test_a_missing_or_binary_file_is_one_line(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "none.toml") == ["none.toml: cannot be read: No such file or directory"]
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    (only,) = lines_of(tmp_path / "binary.toml")
    assert only.startswith("binary.toml: cannot be read: ")


def test_decayed_satellites_stay_in_the_catalogue_and_have_no_passes(tmp_path: Path) -> None:
    config = load_config(write_files(tmp_path, definition=DEFINITION.replace("in_orbit", "decayed")))
    assert list(config.definitions) == ["one-sat"]
    assert config.elements == ()


def test_of_several_candidates_each_with_elements_is_kept(tmp_path: Path) -> None:
    definition = DEFINITION.replace("[61231]", "[61231, 67748]")
    assert [one.norad_id for one in load_config(write_files(tmp_path, definition=definition)).elements] == [61231]


def test_the_state_directory_of_systemd_holds_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/groundstation")
    config = load_config(write_files(tmp_path))
    assert config.settings.archive.url == "sqlite:////var/lib/groundstation/test.db"


def test_a_command_typed_by_hand_means_the_archive_of_the_installed_unit(tmp_path: Path) -> None:
    settings = load_config(write_files(tmp_path)).settings
    relative = msgspec.structs.replace(settings, archive=ArchiveSettings())
    assert absolute(relative, INSTALLED).archive.url == "sqlite:////var/lib/groundstation/groundstation.db"
    assert absolute(relative, tmp_path).archive.url == f"sqlite:///{tmp_path}/groundstation.db"


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("topic_prefix", "gs/v1/"),
        ("topic_prefix", "/gs"),
        ("topic_prefix", "gs//v1"),
        ("host", ""),
        ("host", "mqtt://broker"),
        ("host", "127.0.0.1:1883"),
    ],
)
def test_an_address_or_prefix_that_could_never_work_is_refused(tmp_path: Path, key: str, found: str) -> None:
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\n{key} = "{found}"')
    (only,) = lines_of(write_files(tmp_path, settings=settings))
    assert only.startswith(f'groundstation.toml: links[0].{key}: found "{found}", expected')


@pytest.mark.parametrize("host", ["broker.example.org", "192.0.2.1", "::1", "2001:db8::7"])
def test_names_and_addresses_of_both_kinds_are_hosts(tmp_path: Path, host: str) -> None:
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nhost = "{host}"')
    assert load_config(write_files(tmp_path, settings=settings)).settings.links[0].host == host


def test_a_catalogue_without_a_definition_is_refused(tmp_path: Path) -> None:
    path = write_files(tmp_path)
    (path.parent / "satellites" / "one-sat.toml").unlink()
    assert lines_of(path) == ["satellites: found no definition that can be read, expected one (.toml) per satellite"]


def test_a_credential_of_systemd_comes_before_a_file_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "mqtt-password").write_text("secret\n")
    settings = SETTINGS.replace('name = "mqtt"', 'name = "mqtt"\npassword_file = "mqtt-password"')
    path = write_files(tmp_path, settings=settings)
    (tmp_path / "mqtt-password").write_text("another\n")
    assert load_config(path).settings.links[0].password_file == tmp_path / "mqtt-password"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", os.fspath(credentials))
    assert load_config(path).settings.links[0].password_file == credentials / "mqtt-password"
