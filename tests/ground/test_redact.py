from __future__ import annotations

import shlex
import time

import pytest

from proctui.redact import HIDDEN, redact_argv, redact_environ, redact_text


@pytest.mark.parametrize(
    "argument",
    [
        "--password=hunter2",
        "TOKEN=hunter2",
        "--api-key=hunter2",
        "https://user:hunter2@example.org/x",
        "postgres://user:hunter2@db/x",
        "Authorization: Bearer hunter2",
        "MYSQL_PWD=hunter2",
        "--dsn=hunter2",
        '{"user": "me", "password": "hunter2"}',
        "X-Auth-Token: hunter2",
        "password:hunter2",
        "https://h/x?X-Amz-Signature=hunter2&a=b",
        "mysql --password hunter2 -e 'select 1'",
        "curl -u me:hunter2 https://h/",
        "curl -u me:'hunter2 and more' https://h/",
        "cd /x; sshpass -p hunter2 ssh h",
    ],
)
def test_a_secret_in_one_argument_is_hidden(argument: str) -> None:
    (shown,) = redact_argv([argument])
    assert "hunter2" not in shown and HIDDEN in shown


def test_a_secret_in_the_next_argument_is_hidden() -> None:
    assert redact_argv(["x", "--token", "hunter2", "y"]) == ("x", "--token", HIDDEN, "y")


@pytest.mark.parametrize(
    "argv",
    [
        ["x", "--password", "hunter2 of two words"],
        ["x", "-password", "hunter2"],
        ["/usr/bin/curl", "--user", "me:hunter2", "https://h/"],
        ["curl", "-ume:hunter2"],
        ["mysql", "-u", "me", "-phunter2", "db"],
        ["sshpass", "-p", "hunter2 of two words", "ssh", "h"],
        ["docker", "login", "-u", "me", "-p", "hunter2"],
        ["redis-cli", "-a", "hunter2", "ping"],
        ["openssl", "rsa", "-passin", "pass:hunter2"],
    ],
    ids=lambda argv: argv[0],
)
def test_a_secret_that_a_program_has_its_own_flag_for_is_hidden(argv: list[str]) -> None:
    shown = redact_argv(argv)
    assert len(shown) == len(argv)
    assert "hunter2" not in " ".join(shown) and "of two words" not in " ".join(shown)


@pytest.mark.parametrize(
    "argv",
    [
        ["llm", "--max-tokens", "100"],
        ["pytest", "tests/test_auth.py::test_token", "tests/auth.py:12"],
        ["docker", "run", "-p", "80:80", "registry/auth:latest"],
        ["mysqld", "--port=3306"],
        ["rsync", "-p", "a", "b"],
        ["x", "--config", "/etc/mysql/my.cnf", "-print"],
        ["x", "--token", "--verbose"],
        ["x", ""],
        [],
    ],
)
def test_a_command_line_without_secrets_stays(argv: list[str]) -> None:
    assert redact_argv(argv) == tuple(argv)


@pytest.mark.parametrize(
    "argument", ["--author=me", "KEYBOARD=de", "--tokenizer-path", "a=b", "http://h:80/x@y"]
)
def test_what_is_no_secret_stays(argument: str) -> None:
    assert redact_argv([argument]) == (argument,)


LEAKS = """
aws configure set aws_secret_access_key hunter2
npm config set //registry.npmjs.org/:_authToken hunter2
curl -sSu me:hunter2 https://h
curl -HAuthorization:hunter2 https://h
curl -b session=hunter2 https://h
http -a me:hunter2 GET h
kubectl create secret generic x --from-literal=password=hunter2
helm upgrade x --set=auth.rootPassword=hunter2
terraform apply -var=db_password=hunter2
mount -t cifs //h/s /m -o username=me,password=hunter2
mount -t cifs //h/s /m -o user=me,pass=hunter2
sh -c 'echo hunter2 | docker login --password-stdin'
openssl enc -k hunter2 -in a
twine upload -u __token__ -p hunter2 dist/x
redis-server --requirepass hunter2
keytool -storepass hunter2
mongodump -u me -p hunter2
cqlsh -u me -p hunter2
rdesktop -u me -p hunter2 h
sqlcmd -S h -U sa -P hunter2
ipmitool -H h -U me -P hunter2
mosquitto_pub -u me -P hunter2 -t x
zip -P hunter2 a.zip f
7z x -phunter2 a.7z
xfreerdp /u:me /p:hunter2 /v:h
sqlplus scott/hunter2@orcl
ldapsearch -x -D cn=admin -w hunter2
snmpwalk -v2c -c hunter2 h
smbclient //h/s -U me%hunter2
lftp -u me,hunter2 h
etcdctl --user me:hunter2 get x
htpasswd -b file me hunter2
rabbitmqctl add_user me hunter2
wpa_passphrase ssid hunter2
nmcli dev wifi connect x password hunter2
vault login -method=token hunter2
app 'Endpoint=sb://x/;SharedAccessKeyName=R;SharedAccessKey=hunter2='
app --pw hunter2
app 'https://h/x?key=hunter2hunter2hunter2&a=b'
"""


@pytest.mark.parametrize("line", LEAKS.strip().splitlines())
def test_what_people_type_is_hidden(line: str) -> None:
    argv = shlex.split(line)
    shown = redact_argv(argv)
    assert len(shown) == len(argv)
    assert "hunter2" not in " ".join(shown) and HIDDEN in " ".join(shown)


@pytest.mark.parametrize(
    "token",
    [
        "sk_live_" + "a1" * 8,
        "npm_" + "a1" * 16,
        "pypi-" + "aB" * 20,
        "dop_v1_" + "0f" * 32,
        "SG." + "a" * 22 + "." + "b" * 40,
        "hvs." + "a" * 24,
        "ASIA" + "A1" * 8,
        "ya29." + "a" * 30,
        "shpat_" + "0f" * 16,
        "x -----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg",
    ],
)
def test_a_token_is_known_by_its_shape(token: str) -> None:
    (shown,) = redact_argv([token])
    assert HIDDEN in shown and token[-12:] not in shown and "MIIE" not in shown


PLAIN = """
node server.js --auth-mode none
curl -o x --cookie-jar x https://h/token
app --password-file /run/secret --token-url https://h/t
git commit -m 'token refresh done'
pytest -k 'password or token'
git config set user.name me
mkdir -p /a/b
nmap -p 80,443 h
docker compose -p proj up
tar -cpf a b
unzip a.zip -d x
7z x a.7z
mysql -h h -P 3306 -p db
app --passes 3 --compass n --bypass x
sort --key=2 f
curl https://jira/browse?key=PROJECT-1234
java -Dkey=value -Dfile.encoding=UTF-8
"""


@pytest.mark.parametrize("line", PLAIN.strip().splitlines())
def test_ordinary_words_stay(line: str) -> None:
    argv = shlex.split(line)
    assert redact_argv(argv) == tuple(argv)


@pytest.mark.parametrize("fill", ["a=", "-b ", "-u:", "eyJ.", "'", "PRIVATE KEY-----", "echo a "])
@pytest.mark.parametrize("program", ["", "curl ", "htpasswd -b ", "echo ", "snmpwalk "])
def test_a_hostile_line_takes_no_longer_than_its_length(program: str, fill: str) -> None:
    def cost(size: int) -> float:
        began = time.process_time()
        redact_argv([(program + fill * size)[:size]])
        return time.process_time() - began

    assert cost(40_000) < 2


def test_environment() -> None:
    shown = redact_environ(
        {
            "PWD": "/tmp",
            "GITHUB_TOKEN": "hunter2",
            "DATABASE_URL": "mysql://u:hunter2@h/d",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "PASSWORD": "",
            "RAILS_MASTER_KEY": "hunter2",
            "STORAGE_KEY": "hunter2",
            "KEY": "hunter2",
            "SSHPASS": "hunter2",
            "DBPASS": "hunter2",
            "rootPwd": "hunter2",
            "LDAP_BIND_PW": "hunter2",
            "PASSWORD_FILE": "/run/secret",
            "MYSQL_OPTIONS": "--password hunter2",
            "HOST_PUBLIC_KEY": "shown",
            "SSH_AUTH_SOCK": "/run/ssh",
        }
    )
    assert shown["HOST_PUBLIC_KEY"] == "shown" and shown["SSH_AUTH_SOCK"] == "/run/ssh"
    assert shown["PWD"] == "/tmp" and shown["PASSWORD_FILE"] == "/run/secret"
    assert "hunter2" not in str(shown)
    assert shown["PASSWORD"] == ""


def test_known_token_shapes_are_hidden_anywhere() -> None:
    assert "ghp_" not in redact_text("using ghp_" + "a" * 36 + " now")
