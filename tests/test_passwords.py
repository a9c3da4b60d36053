"""A password file means the same to a broker, a database and a source of elements."""

from pathlib import Path

import pytest

from groundstation.archive.url import check_url, with_password
from groundstation.elements import http
from groundstation.link import connection
from groundstation.link.settings import LinkSettings


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"open sesame", "open sesame"),
        (b"open sesame\n", "open sesame"),
        (b"open sesame\r\n", "open sesame"),  # as Windows writes it
        (b" open\nsesame \n\n", " open\nsesame \n"),
        (b"open\r\nsesame\r\n", "open\nsesame"),
        ("ŝezamo\n".encode(), "ŝezamo"),
    ],
)
def test_it_is_the_file_s_text_less_one_final_newline_everywhere(tmp_path: Path, content: bytes, password: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    url = with_password(check_url("postgresql://groundstation@localhost/groundstation"), file)
    link = LinkSettings(name="mqtt", client_id="groundstation-test", password_file=file)
    assert [url.password, connection.password(link), http.password(file)] == [password] * 3
