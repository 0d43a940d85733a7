"""Passwords, tokens and keys in command lines and names: masked where they surely are some, and else left."""

from __future__ import annotations

import pytest

from leaktrace.masking import masked, masked_command


SECRET = "hunter2-hunter2"
SECRETIVE = [
    ["mysqld", f"--password={SECRET}"],
    ["psql", "--password", SECRET, "-h", "db"],
    ["mysql", "-uroot", f"-p{SECRET}", "db"],
    ["/usr/bin/mysqldump", f"-p{SECRET}"],
    ["sshpass", "-p", SECRET, "ssh", "host"],
    ["redis-cli", "-a", SECRET],
    ["curl", "-u", f"me:{SECRET}", "https://host"],
    ["curl", f"-ume:{SECRET}"],
    ["curl", f"--user=me:{SECRET}"],
    ["http", "-a", f"me:{SECRET}"],
    ["openssl", "-passin", f"pass:{SECRET}"],
    ["env", f"API_TOKEN={SECRET}", "python"],
    ["env", f"AWS_SECRET_ACCESS_KEY={SECRET}"],
    ["env", f"MYSQL_PWD={SECRET}"],
    ["env", f"STRIPE_API_KEY={SECRET}"],
    ["serve", "--api-key", SECRET],
    ["serve", f"--apiKey={SECRET}"],
    ["serve", "--client-secret", SECRET],
    ["serve", f"--db.password={SECRET}"],
    ["serve", f"-Dpassword={SECRET}"],
    ["serve", f"--PASSWORD={SECRET}"],
    ["serve", "--token", f"two words {SECRET}"],
    ["serve", f"postgresql://me:{SECRET}@db/x"],
    ["serve", f"DATABASE_URL=postgres://me:{SECRET}@db/x"],
    ["serve", f"redis://:{SECRET}@db"],
    ["git", "clone", f"https://{SECRET}{SECRET}@host/x"],
    ["curl", f"https://host/?token={SECRET}&b=1"],
    ["curl", "-H", f"Authorization: Bearer {SECRET}"],
    ["curl", "-H", f"authorization: basic {SECRET}"],
    ["curl", "-H", f"X-Api-Key: {SECRET}"],
    ["curl", "-H", f"Cookie: a={SECRET}; b={SECRET}"],
    ["curl", "-d", f'{{"password": "{SECRET}"}}'],
    ["python", "-c", f"os.environ['DB_PASSWORD'] = '{SECRET}'"],
    ["sh", "-c", f"FOO_SECRET={SECRET} run --pass {SECRET} && mysql -p{SECRET} | curl -u me:{SECRET} x"],
    ["serve", f"host=db password={SECRET} dbname=x"],
    ["serve", f"Server=db;AccountKey={SECRET};Pwd={SECRET};"],
    ["serve", "ghp_" + SECRET.replace("-", "9") * 2],
    ["serve", f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n"],
]
PLAIN = [
    ["grep", "-prune", "-p8000"],
    ["python", "-m", "http.server", "-p", "8000"],
    ["serve", "--password-file=/etc/x", "--token-path", "/a/b"],
    ["pytest", "-k", "test_token[a]", "secrets.py::test_password[1]", "--passes"],
    ["env", "PWD=/home/me", "OLDPWD=/"],
    ["serve", "tokenizer=fast", "monkey=1", "--author=me", "turkey: 1"],
    ["ssh", "git@host", "git+ssh://git@host/x"],
    ["curl", "https://host:80/x@y"],
    ["git", "commit", "-m", "fix token parsing"],
    [],
]


@pytest.mark.parametrize("words", SECRETIVE, ids=str)
def test_a_secret_of_a_command_line_is_masked(words: list[str]) -> None:
    assert "hunter2" not in masked_command(words)
    assert words[0] in masked_command(words)


@pytest.mark.parametrize("words", [words for words in SECRETIVE if "two words" not in " ".join(words)], ids=str)
def test_a_secret_of_a_text_is_masked(words: list[str]) -> None:
    assert "hunter2" not in masked(" ".join(words))


@pytest.mark.parametrize("words", PLAIN, ids=str)
def test_what_only_looks_like_a_secret_is_left(words: list[str]) -> None:
    assert masked_command(words) == " ".join(words) == masked(" ".join(words))


def test_what_is_masked_still_tells_what_it_was() -> None:
    assert masked_command(["mysqld", f"--password={SECRET}", "--port=1"]) == "mysqld --password=*** --port=1"
    assert masked(f"postgresql://me:{SECRET}@db/x") == "postgresql://me:***@db/x"


@pytest.mark.parametrize(
    "part", ["a_", "password", "://", "-", "a", "token_", "authorization: ", "'", "a:b@", "mysql "]
)
def test_a_long_text_takes_no_longer_than_its_length(part: str) -> None:
    text = part * (200_000 // len(part))

    assert len(masked(text)) <= len(text) * 3
