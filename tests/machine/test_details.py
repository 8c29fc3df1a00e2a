"""Everything about one process, held against what the process really did, psutil and /proc."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from proctui.errors import Changed, NoSuchProcess, ProctuiError
from proctui.machine import details, details_portable, identity
from proctui.machine.connections import parse_inet, parse_unix
from proctui.machine.containers import container_of_mounts, find_container
from proctui.machine.procdir import open_process
from proctui.machine.settings import parse_limits, terminal_name
from proctui.machine.status import capability_names, signal_names
from tests.support import python, running, wait_for

KEYS = [
    "pid",
    "identity",
    "name",
    "exe",
    "cmdline",
    "cwd",
    "user",
    "status",
    "pgid",
    "sid",
    "tty",
    "started",
    "age",
    "nice",
    "affinity",
    "cpu",
    "memory",
    "io",
    "connections",
    "fds",
    "threads",
    "limits",
    "cgroup",
    "container",
    "ctx_switches",
    "environ",
    "denied",
]

TARGET = """
import os, socket, sys, tempfile, threading
folder = sys.argv[1]
held = bytearray(64 * 1024 * 1024)
for start in range(0, len(held), 4096):
    held[start] = 1
appended = open(folder + "/appended", "a"); appended.write("x" * 100); appended.flush()
reading = open("/etc/hostname" if os.path.exists("/etc/hostname") else "/etc/passwd"); reading.seek(3)
both = open(folder + "/both", "w+b"); both.write(b"y" * 50); both.seek(7)
gone = open(folder + "/gone", "w"); os.unlink(folder + "/gone")
tcp = socket.socket(); tcp.bind(("127.0.0.1", 0)); tcp.listen()
client = socket.create_connection(tcp.getsockname()); server, _ = tcp.accept()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("127.0.0.1", 0))
listener = socket.socket(socket.AF_UNIX); listener.bind(folder + "/sock"); listener.listen()
one = socket.socket(socket.AF_UNIX); one.connect(folder + "/sock"); two, _ = listener.accept()
pipe = os.pipe()
ready = threading.Barrier(3)
def wait(): ready.wait(); threading.Event().wait()
for number in range(2): threading.Thread(target=wait, daemon=True).start()
ready.wait()
print(tcp.getsockname()[1], udp.getsockname()[1], client.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("target")
    environment = {"PATH": os.environ["PATH"], "API_TOKEN": "hunter2", "BAD": "a\x1b[31mb"}
    with running(
        python(TARGET, str(folder)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        cwd=folder,
    ) as child:
        ports = tuple(map(int, child.stdout.readline().split()))
        # Its threads have begun when it says so, but need not sleep yet.
        threads = Path(f"/proc/{child.pid}/task")
        wait_for(
            lambda: all(
                (one / "stat").read_text().rpartition(") ")[2][0] == "S"
                for one in threads.iterdir()
            )
        )
        seen = details.inspect(child.pid, include_threads=True, include_files=True)
        yield child.pid, folder, ports, seen


def test_every_key_is_there_and_json_ready(target):
    _, _, _, seen = target
    assert set(KEYS) <= seen.keys()
    json.dumps(seen)
    assert seen["denied"] == []
    plain = details.inspect(target[0])
    assert isinstance(plain["threads"], int)
    assert "files" not in plain


def test_identity_and_place(target):
    pid, folder, _, seen = target
    other = psutil.Process(pid)
    assert seen["identity"] == str(identity.identify(pid))
    assert seen["exe"] == other.exe()
    assert seen["cwd"] == str(folder)
    assert seen["user"] == other.username()
    assert (seen["ppid"], seen["pgid"], seen["sid"]) == (os.getpid(), pid, pid)
    assert seen["nice"] == other.nice()
    assert seen["affinity"] == sorted(other.cpu_affinity())
    assert seen["tty"] is None
    assert abs(seen["age"] - (psutil.time.time() - other.create_time())) < 30


def test_memory_is_what_it_took(target):
    memory = target[3]["memory"]
    assert 64 << 20 < memory["rss"] < 100 << 20
    assert 64 << 20 < memory["uss"] <= memory["pss"] <= memory["rss"] + (1 << 20)
    assert memory["peak_rss"] >= memory["rss"] - (1 << 20)
    full = psutil.Process(target[0]).memory_full_info()
    assert abs(memory["uss"] - full.uss) < 1 << 20
    assert memory["swap"] == full.swap


def test_threads_by_name_and_number(target):
    pid, _, _, seen = target
    assert {row["tid"] for row in seen["threads"]} == {t.id for t in psutil.Process(pid).threads()}
    assert len(seen["threads"]) == 3
    assert {row["state"] for row in seen["threads"]} == {"S"}
    assert all(row["cpu"] is not None for row in seen["threads"])


def test_files_with_mode_and_position(target):
    pid, folder, _, seen = target
    files = {row["path"]: row for row in seen["files"]}
    assert len(seen["files"]) == seen["fds"] == psutil.Process(pid).num_fds()
    appended, both = files[f"{folder}/appended"], files[f"{folder}/both"]
    assert (appended["mode"], appended["position"], appended["size"]) == ("w", 100, 100)
    assert "append" in appended["flags"]
    assert (both["mode"], both["position"], both["kind"]) == ("rw", 7, "file")
    gone = files[f"{folder}/gone"]
    assert gone["deleted"]
    assert any(row["mode"] == "r" and row["position"] == 3 for row in seen["files"])
    assert {"pipe", "socket", "file"} <= {row["kind"] for row in seen["files"]}


def test_memory_that_is_a_file_has_no_name_to_lose():
    held = os.memfd_create("mine")
    os.write(held, b"abc")
    try:
        rows = details.inspect(os.getpid(), include_files=True)["files"]
    finally:
        os.close(held)
    row = next(row for row in rows if row["fd"] == held)
    assert (row["path"], row["kind"], row["deleted"], row["size"]) == (
        "/memfd:mine", "memfd", False, 3,
    )  # fmt: skip


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("unshare") is None, reason="a network of its own needs root"
)
def test_ends_that_another_network_does_not_tell_are_named():
    code = (
        "import socket, sys\na, b = socket.socketpair()\nu = socket.create_server(('', 0))\n"
        "print('ready', flush=True)\nsys.stdin.read()"
    )
    with running(
        ["unshare", "-n", *python(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        if child.stdout.readline() != b"ready\n":
            pytest.skip("no network namespaces here")
        seen = details.inspect(child.pid)
    pair = [row for row in seen["connections"] if row["family"] == "unix"]
    assert [row["peer"] for row in pair] == [None, None]
    assert "connections.peer" in seen["denied"]
    assert [row["state"] for row in seen["connections"] if row["type"] == "tcp"] == ["listen"]


def test_connections_of_every_kind(target):
    pid, folder, (tcp, udp, client), seen = target
    rows = seen["connections"]
    listening = [row for row in rows if row["listening"] and row["type"] == "tcp"]
    assert [(row["local"], row["remote"]) for row in listening] == [(f"127.0.0.1:{tcp}", None)]
    established = [row for row in rows if row["type"] == "tcp" and row["state"] == "established"]
    assert {(row["local_port"], row["remote_port"]) for row in established} == {
        (client, tcp),
        (tcp, client),
    }
    assert [row["local_port"] for row in rows if row["type"] == "udp"] == [udp]
    unix = [row for row in rows if row["family"] == "unix"]
    assert len(unix) == 3
    pairs = {row["inode"]: row["peer"] for row in unix if row["peer"]}
    assert len(pairs) == 2
    assert all(pairs[peer] == inode for inode, peer in pairs.items())
    assert any(row["remote"] == f"{folder}/sock" for row in unix)
    others = psutil.Process(pid).net_connections(kind="inet")
    assert {one.fd for one in others} == {row["fd"] for row in rows if row["family"] == "ipv4"}


def test_environment_without_secrets_or_controls(target):
    environ = target[3]["environ"]
    assert "hunter2" not in str(environ)
    assert environ["BAD"].isprintable()
    assert environ["PATH"]


def test_limits_switches_and_the_rest(target):
    pid, _, _, seen = target
    soft, hard = psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE)
    assert (seen["limits"]["nofile"]["soft"], seen["limits"]["nofile"]["hard"]) == (soft, hard)
    assert seen["ctx_switches"]["voluntary"] >= psutil.Process(pid).num_ctx_switches().voluntary
    assert seen["faults"]["minor"] > 0
    assert seen["oom"]["score"] is not None
    assert seen["seccomp"]["mode"] in ("disabled", "filter")
    assert seen["namespaces"]["pid"]["ours"]
    assert seen["cgroup"].startswith("/")
    assert seen["io"]["read_chars"] > 0
    assert seen["priority"]["policy"] == "other"
    assert seen["tracer"] is None


def test_rates_and_share_over_a_while():
    with running(python("while True: pass")) as child:
        seen = details.inspect(child.pid, seconds=0.3)
        assert seen["cpu"]["basis"] == seen["io"]["basis"] == "measured"
        assert seen["cpu"]["usage"] > 0
        assert seen["io"]["read_rate"] == 0.0


def test_ourselves_without_the_descriptor_that_looks():
    before = len(os.listdir("/proc/self/fd")) - 1
    seen = details.inspect(os.getpid(), include_files=True)
    assert seen["fds"] == len(seen["files"]) == before


def test_signals_by_name():
    code = (
        "import signal, sys; signal.signal(signal.SIGUSR1, print); signal.signal(signal.SIGHUP,"
        " signal.SIG_IGN); signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH]);"
        "print(flush=True); input()"
    )
    with running(python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        signals = details.inspect(child.pid)["signals"]
    assert "USR1" in signals["caught"]
    assert "HUP" in signals["ignored"]
    assert signals["blocked"] == ["WINCH"]
    assert signal_names(f"{1 << 33 | 1 << 12:x}") == ["PIPE", "RTMIN"]
    assert signal_names(f"{1 << 34:x}") == ["RTMIN+1"]


def test_a_zombie_is_no_error():
    child = subprocess.Popen(python("pass"))
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        seen = details.inspect(child.pid, include_threads=True, include_files=True)
        assert seen["status"] == "Z"
        assert seen["exe"] is None
        assert "exe" in seen["denied"]
        assert seen["memory"]["rss"] == 0
        assert set(KEYS) <= seen.keys()
    finally:
        child.wait()
    with pytest.raises(NoSuchProcess):
        details.inspect(child.pid)


def test_a_threads_id_and_another_identity():
    with running(python("input()"), stdin=subprocess.PIPE) as child:
        who = identity.identify(child.pid)
        inode = None if who.inode is None else who.inode + 1
        with pytest.raises(Changed):
            details.inspect(who._replace(inode=inode, start_ticks=1))
        with open_process(who) as held:
            child.communicate(b"\n")
            with pytest.raises(NoSuchProcess):
                held.stat()
            with pytest.raises(NoSuchProcess):
                held.read("status")
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    try:
        with pytest.raises(NoSuchProcess):
            details.inspect(thread.native_id)
    finally:
        event.set()
        thread.join()


def test_a_hostile_name_and_socket(tmp_path):
    name = "\0x\n0000: 00000002 00000000 00010000 0001 01 1 /forged"
    code = (
        "import ctypes, socket, sys; ctypes.CDLL(None).prctl(15, b'\\x1b]0;x\\x07\\n) Z 1');"
        "s = socket.socket(socket.AF_UNIX); s.bind(eval(sys.argv[1])); s.listen();"
        "print(flush=True); input()"
    )
    argv = python(code, repr(name))
    with running(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        seen = details.inspect(child.pid, include_files=True, include_threads=True)
    assert seen["status"] in "SR"
    assert all(word.isprintable() for word in _strings(seen))
    sockets = [row for row in seen["connections"] if row["family"] == "unix"]
    assert len(sockets) == 1
    assert sockets[0]["local"].startswith("@x")


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def test_inspection_works_for_every_process():
    """Root or not, every process of the machine, threads and files included, without a crash."""
    looked = 0
    for name in filter(str.isdecimal, os.listdir("/proc")):
        for inspect in (details.inspect, details_portable.inspect):
            try:
                seen = inspect(int(name), include_threads=True, include_files=True)
            except ProctuiError:
                continue
            assert set(KEYS) <= seen.keys()
            missing = {key for key in KEYS if seen[key] is None} - {"container", "tty"}
            assert missing <= set(seen["denied"])
            json.dumps(seen)
            looked += 1
    assert looked


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_the_sweep_as_an_unprivileged_user():
    code = (  # one sweep before, as the interpreter's own files may be root's alone
        "import os, sys; from tests.machine import test_details as tests;"
        "tests.test_inspection_works_for_every_process(); os.setgroups([]);"
        "os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534);"
        "tests.test_inspection_works_for_every_process();"
        "seen = tests.details.inspect(1); print(sorted(seen['denied']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    for name in ("connections", "environ", "exe", "fds", "io"):
        assert f"'{name}'" in done.stdout


def test_inet_rows_of_both_byte_widths():
    row = b"  0: 0100007F:1F90 00000000:0000 0A 00000000:00000001 00:00000000 00000000 0 0 77 1\n"
    if sys.byteorder == "little":
        one = next(parse_inet("tcp", b"header\n" + row))
        assert (one.local, one.remote, one.state, one.inode) == (
            "127.0.0.1:8080",
            None,
            "listen",
            77,
        )
        six = row.replace(b"0100007F", b"0000000000000000FFFF00000100007F")
        six = six.replace(b" 00000000:0000", b" " + b"0" * 32 + b":0000")
        assert next(parse_inet("tcp6", b"header\n" + six)).local == "[::ffff:127.0.0.1]:8080"
    assert list(parse_inet("tcp", b"header\ntorn off")) == []


def test_the_unix_table():
    raw = b"Num\n0000000000000000: 00000002 00000000 00010000 0001 01 42 /run/x y\nshort\n"
    assert [(one.inode, one.local, one.listening) for one in parse_unix(raw)] == [
        (42, "/run/x y", True)
    ]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/system.slice/docker-" + "a" * 64 + ".scope", "docker:aaaaaaaaaaaa"),
        ("/docker/" + "b" * 64, "docker:bbbbbbbbbbbb"),
        ("/user.slice/libpod-" + "c" * 64 + ".scope", "podman:cccccccccccc"),
        ("/kubepods/burstable/pod1-2/" + "d" * 64, "kubernetes:dddddddddddd"),
        ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + "e" * 64 + ".scope", "kubernetes:eeeeeeeeeeee"),
        ("/lxc.payload.web/init.scope", "lxc:web"),
        ("/lxc/db", "lxc:db"),
        ("/user.slice/user-1000.slice/session-2.scope", None),
        ("/", None),
    ],
)  # fmt: skip
def test_containers_by_cgroup(path, shown):
    found = find_container(f"12:pids:/\n0::{path}\n")
    assert (None if found is None else str(found)) == shown


def test_containers_by_mounts():
    line = (
        f"1 2 0:1 /var/lib/docker/containers/{'f' * 64}/hostname /etc/hostname rw - ext4 /dev/x rw"
    )
    assert str(container_of_mounts(line)) == "docker:ffffffffffff"
    assert container_of_mounts("1 2 0:1 / / rw - ext4 /dev/x rw") is None


def test_small_tables():
    assert terminal_name(0) is None
    assert terminal_name(34816 + 3) == "/dev/pts/3"
    assert terminal_name(4 << 8 | 1) == "/dev/tty1"
    assert capability_names("0") == []
    assert capability_names("80000000000000")[0] == "cap_55"
    assert capability_names("21") == ["chown", "kill"]
    raw = b"Limit   Soft Limit   Hard Limit  Units\nMax open files            1024                 unlimited            files     \n"
    assert parse_limits(raw) == {"nofile": {"soft": 1024, "hard": "unlimited", "unit": "files"}}


def test_peers_in_the_kernels_words():
    one, two = socket.socketpair()
    with one, two:
        rows = details.inspect(os.getpid())["connections"]
        ends = {row["fd"]: row for row in rows}
        assert ends[one.fileno()]["peer"] == ends[two.fileno()]["inode"]
