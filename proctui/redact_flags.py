"""What single programs call a password: ``mysql -pSECRET``, ``curl -u me:SECRET``.

Nothing in such an argument tells of a secret, only the program does; so each
has a rule of its own, asked only where the command line names the program.
"""

from __future__ import annotations

import functools
import re

__all__ = ["GAP", "VALUE", "hide_flags"]

# Between words: white space, its pictures in what was made harmless, the end of an argument.
GAP = r"[\s\0␊␉]"
_WORD = r"[^\s\0␊␉'\"]"
VALUE = rf"(?:\"[^\"\0]*\"|'[^'\0]*'|{_WORD})+"


def _program(names: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[/'\"(;|&]|{GAP})(?:{names})(?={GAP})")


def _flag(flags: str, before: str = "") -> str:
    """A whole argument behind the flag, or the word behind it within a line for a shell."""
    head = rf"(?<={GAP})(?:{flags})"
    return rf"(?P<apart>{head}\0{before})[^\0]+|(?P<within>{head}(?:{GAP}|=)?{before}){VALUE}"


def _glued(head: str) -> str:
    """What follows ``head`` without a gap."""
    return rf"(?P<apart>(?<={GAP}){head})(?P<within>){VALUE}"


def _until(sign: str) -> str:
    return rf"(?:(?!{sign}){_WORD})+{sign}"


def _behind(words: str) -> str:
    """The argument behind these words."""
    return rf"(?P<apart>(?<={GAP})(?:{words}){GAP}+)(?P<within>){VALUE}"


_SNMP = r"snmp(?:walk|get|getnext|set|bulkwalk|bulkget|table|trap|inform|status)"
_RULES = (
    (("curl",), "curl", _flag("-[fgGiIjJkLlnNOpqRsSvaBZ]*[uU]|--user|--proxy-user", _until(":"))),
    (("curl",), "curl", _flag("-b", _until("="))),
    (("http", "xh"), "https?|httpie|xh", _flag("-a|--auth", _until(":"))),
    (("etcdctl",), "etcdctl", _flag("--user", _until(":"))),
    (("mysql", "mariadb"), r"mysql(?:dump|admin|import|show|sh)?|mariadb(?:-\w+)?", _glued("-p")),
    (("7z", "rar"), "7z[ar]?|7zz|rar|unrar", _glued("-p")),
    (("freerdp",), "xfreerdp3?|wlfreerdp", _glued("/p:")),
    (("openssl",), "openssl", _glued("pass:")),
    (("openssl",), rf"openssl{GAP}enc", _flag("-[kK]")),
    (("sshpass",), "sshpass", _flag("-p")),
    (("redis-cli",), "redis-cli", _flag("-a")),
    (("login",), rf"(?:docker|podman|nerdctl|buildah|skopeo|helm|oras|crane){GAP}(?:registry{GAP})?login",
     _flag("-p")),
    (("login", "twine"), rf"az{GAP}login|twine{GAP}upload", _flag("-p")),
    (("mongo",), r"mongo(?:sh|dump|restore|export|import|stat|top|files)?", _flag("-p")),
    (("cqlsh", "ncftp", "rdesktop"), "cqlsh|ncftp(?:get|put|ls)?|rdesktop", _flag("-p")),
    (("sql", "bcp", "ipmi", "mosquitto", "zip"),
     "sqlcmd|bcp|osql|isql|tsql|ipmitool|mosquitto_(?:pub|sub|rr)|zip|unzip|zipcloak", _flag("-P")),
    (("ldap",), "ldap(?:search|add|modify|delete|passwd|whoami|compare|modrdn)", _flag("-w")),
    (("snmp",), _SNMP, _flag("-[cAX]")),
    (("sql", "expdp", "impdp", "rman"), "sqlplus|sqlldr|expdp|impdp|rman",
     rf"(?P<apart>(?<={GAP})[\w$#]+/)(?P<within>)(?:(?!@){_WORD})+"),
    (("smb", "rpcclient"), "smbclient|rpcclient|smbget", _flag("-U|--user", _until("%"))),
    (("lftp",), "lftp", _flag("-u|--user", _until(","))),
    (("htpasswd",), "htpasswd",
     rf"(?P<apart>(?<={GAP})-\w*b\w*{GAP}(?:{_WORD}{{1,256}}{GAP}){{1,3}})(?P<within>){VALUE}$"),
    (("rabbit",), "rabbitmqctl",
     _behind(rf"(?:add_user|change_password|authenticate_user){GAP}+{_WORD}+")),
    (("wpa_",), "wpa_passphrase", _behind(rf"(?<=wpa_passphrase.){_WORD}+")),
    (("nmcli",), "nmcli", _behind("password|wifi-sec.psk|802-11-wireless-security.psk")),
    (("vault",), rf"vault{GAP}login", _behind(rf"(?<=vault.)login(?:{GAP}+-[\w=-]+)*")),
    (("echo", "printf"), "echo|printf",
     rf"(?P<apart>(?:echo|printf){GAP}+(?:-\w+{GAP}+)?)(?P<within>){VALUE}"
     rf"(?={GAP}*\|[^|]*(?:--password-stdin|--with-token|\bchpasswd|\bsudo{GAP}+-\w*S))"),
)  # fmt: skip
"""(words one of which the line must hold, names of programs, what follows them)."""


@functools.cache
def _compiled(names: str, rule: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return _program(names), re.compile(rule)


def hide_flags(line: str, hidden: str) -> str:
    """A command line, its arguments parted by NULs, with ``hidden`` in the place of passwords."""
    # Sixty expressions take longer to compile than a look takes: each when it is first of use.
    for words, names, rule in _RULES:
        for word in words:
            if word in line:
                break
        else:
            continue
        program, secret = _compiled(names, rule)
        if program.search(line):
            line = secret.sub(lambda match: f"{match['apart'] or match['within']}{hidden}", line)
    return line
