"""What single programs call a password: ``mysql -pSECRET``, ``curl -u me:SECRET``.

Nothing in such an argument tells of a secret, only the program does; so each
has a rule of its own, asked only where the command line names the program.
"""

from __future__ import annotations

import re

__all__ = ["GAP", "VALUE", "hide_flags"]

# Between words: white space, its pictures in what was made harmless, the end of an argument.
GAP = r"[\s\0␊␉]"
_WORD = r"[^\s\0␊␉'\"]"
VALUE = rf"(?:\"[^\"\0]*\"|'[^'\0]*'|{_WORD})+"


def _program(names: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[/'\"(;|&]|{GAP})(?:{names})(?={GAP})")


def _flag(flags: str, before: str = "") -> re.Pattern[str]:
    """A whole argument behind the flag, or the word behind it within a line for a shell."""
    head = rf"(?<={GAP})(?:{flags})"
    return re.compile(
        rf"(?P<apart>{head}\0{before})[^\0]+|(?P<within>{head}(?:{GAP}|=)?{before}){VALUE}"
    )


def _glued(head: str) -> re.Pattern[str]:
    """What follows ``head`` without a gap."""
    return re.compile(rf"(?P<apart>(?<={GAP}){head})(?P<within>){VALUE}")


def _until(sign: str) -> str:
    return rf"(?:(?!{sign}){_WORD})+{sign}"


def _behind(words: str) -> re.Pattern[str]:
    """The argument behind these words."""
    return re.compile(rf"(?P<apart>(?<={GAP})(?:{words}){GAP}+)(?P<within>){VALUE}")


_SNMP = r"snmp(?:walk|get|getnext|set|bulkwalk|bulkget|table|trap|inform|status)"
_RULES = tuple(
    (_program(names), rule)
    for names, rule in (
        ("curl", _flag("-[fgGiIjJkLlnNOpqRsSvaBZ]*[uU]|--user|--proxy-user", _until(":"))),
        ("curl", _flag("-b", _until("="))),
        ("https?|httpie|xh", _flag("-a|--auth", _until(":"))),
        ("etcdctl", _flag("--user", _until(":"))),
        (r"mysql(?:dump|admin|import|show|sh)?|mariadb(?:-\w+)?", _glued("-p")),
        ("7z[ar]?|7zz|rar|unrar", _glued("-p")),
        ("xfreerdp3?|wlfreerdp", _glued("/p:")),
        ("openssl", _glued("pass:")),
        (rf"openssl{GAP}enc", _flag("-[kK]")),
        ("sshpass", _flag("-p")),
        ("redis-cli", _flag("-a")),
        (rf"(?:docker|podman|nerdctl|buildah|skopeo|helm|oras|crane){GAP}(?:registry{GAP})?login",
         _flag("-p")),
        (rf"az{GAP}login|twine{GAP}upload", _flag("-p")),
        (r"mongo(?:sh|dump|restore|export|import|stat|top|files)?", _flag("-p")),
        ("cqlsh|ncftp(?:get|put|ls)?|rdesktop", _flag("-p")),
        ("sqlcmd|bcp|osql|isql|tsql|ipmitool|mosquitto_(?:pub|sub|rr)|zip|unzip|zipcloak",
         _flag("-P")),
        ("ldap(?:search|add|modify|delete|passwd|whoami|compare|modrdn)", _flag("-w")),
        (_SNMP, _flag("-[cAX]")),
        ("sqlplus|sqlldr|expdp|impdp|rman",
         re.compile(rf"(?P<apart>(?<={GAP})[\w$#]+/)(?P<within>)(?:(?!@){_WORD})+")),
        ("smbclient|rpcclient|smbget", _flag("-U|--user", _until("%"))),
        ("lftp", _flag("-u|--user", _until(","))),
        ("htpasswd", re.compile(
            rf"(?P<apart>(?<={GAP})-\w*b\w*{GAP}(?:{_WORD}{{1,256}}{GAP}){{1,3}})(?P<within>){VALUE}$"
        )),
        ("rabbitmqctl", _behind(rf"(?:add_user|change_password|authenticate_user){GAP}+{_WORD}+")),
        ("wpa_passphrase", _behind(rf"(?<=wpa_passphrase.){_WORD}+")),
        ("nmcli", _behind("password|wifi-sec.psk|802-11-wireless-security.psk")),
        (rf"vault{GAP}login", _behind(rf"(?<=vault.)login(?:{GAP}+-[\w=-]+)*")),
        ("echo|printf", re.compile(
            rf"(?P<apart>(?:echo|printf){GAP}+(?:-\w+{GAP}+)?)(?P<within>){VALUE}"
            rf"(?={GAP}*\|[^|]*(?:--password-stdin|--with-token|\bchpasswd|\bsudo{GAP}+-\w*S))"
        )),
    )
)  # fmt: skip
_ANY = re.compile(
    r"curl|http|xh|etcdctl|mysql|mariadb|7z|rar|freerdp|openssl|sshpass|redis|login|twine|mongo|cqlsh"
    r"|ncftp|rdesktop|sql|bcp|ipmi|mosquitto|zip|ldap|snmp|dp\b|rman|smb|rpcclient|lftp|htpasswd"
    r"|rabbit|wpa_|nmcli|echo|printf"
)
"""Most command lines are done with after this one search."""


def hide_flags(line: str, hidden: str) -> str:
    """A command line, its arguments parted by NULs, with ``hidden`` in the place of passwords."""
    if _ANY.search(line):
        for program, rule in _RULES:
            if program.search(line):
                line = rule.sub(lambda match: f"{match['apart'] or match['within']}{hidden}", line)
    return line
