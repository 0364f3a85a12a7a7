"""Words that carry digits and mean one thing: they are no ids."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = (
    # hashes, ciphers, signatures, codecs of keys
    r"sha(?:1|2|3|224|256|384|512)|md[2456]|crc(?:8|16|32|64)c?|adler32|blake[23][bs]?|ripemd160"
    r"|(?:aes|des|rc|rsa|dsa)(?:[2345]|128|192|256|512|1024|2048|3072|4096)(?:gcm|cbc|ctr|kw)?"
    r"|(?:hs|rs|es|ps)(?:256|384|512)|ed(?:25519|448)|x(?:25519|448|509)|secp\d{3}[kr]1"
    r"|curve25519|x?chacha20(?:poly1305)?|poly1305|pkcs\d{1,2}(?:v15)?|p12|base(?:16|32|36|58|62|64|85)|argon2(?:id?|d)?"
    # text and number formats, standards
    r"|utf_?(?:7|8|16|32)(?:mb[34]|le|be)?|ucs[24]|latin\d|cp\d{3,4}|windows125\d|iso\d{3,5}"
    r"|rfc\d{3,4}|ieee\d{3,4}|es20\d\d|u?int(?:8|16|24|32|64|128|256)|(?:b?float|fp|bf)(?:8|16|32|64|128)"
    r"|bit(?:8|16|32|64)|h26[1-6]|mp[34]|m4[av]|av1|vp[89]|jp2|jpeg2000|a11y|i18n|l10n"
    # protocols, platforms, products
    r"|http[123]|h2c?|h3|ipv[46]|ip[46]|socks[45]|pop3|imap4|smb[123]|tls1[0123]?|ssl[23]|oauth[12]"
    r"|oidc2|saml[12]|fido2|k8s|k3s|k9s|k0s|s3a?|ec2|route53|log4j2?|slf4j2?|log4net|neo4j|db2|h2"
    r"|x86|x64|arm(?:64|v[678])|aarch64|amd64|i[3456]86|win(?:32|64)|mips64|ppc64(?:le)?|s390x?"
    r"|office365|m365|microsoft365|dynamics365|auth0|sap4hana|d3|web[23]|html[45]|css3|vue[23]"
    r"|psycopg[23]|urllib3|boto3?|jinja2|py[23]|python[23]|php\d|junit[345]|rabbitmq3"
    r"|e2e|p2p|b2[bc]|c2c|m2m|o2o|p2pe|a2dp|g2p|n2n|[234]fa|3ds[12]?|[234]d|[1-5]xx"
    r"|p(?:50|75|90|95|99|999|9999)"
)

_STATUS: Final = r"(?:10[0-3]|20[0-8]|226|30[0-8]|40\d|41\d|42[1-9]|431|451|50[0-8]|51[01])"

VERSION: Final = r"v\d{1,2}(?:p\d{1,2})?(?:(?:alpha|beta|rc|preview|pre|dev)\d{0,2})?"

_CAMEL_LEFT: Final = r"(?:(?<![a-z\d])|(?<=(?-i:[a-z]))(?=(?-i:[A-Z])))"
_CAMEL_RIGHT: Final = r"(?:(?![a-z\d])|(?=(?-i:[A-Z][a-z])))"

KNOWN: Final = re.compile(
    rf"{_CAMEL_LEFT}(?:{_WORDS}|{VERSION}){_CAMEL_RIGHT}|(?<=[a-z]){_STATUS}(?!\d)",
    re.IGNORECASE | re.ASCII,
)
"""A known word or version as a word of its own, or as one part of a camel-cased word; and an
HTTP status code at the end of a word."""

KNOWN_NUMBER: Final = re.compile(
    rf"(?:(?:http|https|status|status_?code|code|error|err|response|resp|handle|page)[-_ ]{_STATUS}"
    r"|(?:sha|sha3)[-_](?:1|2|3|224|256|384|512)|utf[-_](?:7|8|16|32)|aes[-_](?:128|192|256)"
    r"|rsa[-_](?:1024|2048|3072|4096)|crc[-_]?32|md[-_]5|base[-_](?:32|64)|x86[-_]64|x64[-_]86"
    r"|iso[-_]?8859(?:[-_]\d{1,2})?|iso[-_](?:8601|20022)|rfc[-_ ]?\d{3,4}|cp[-_]\d{3,4}"
    r"|u?int[-_](?:8|16|32|64|128)|float[-_](?:16|32|64)|ipv?[-_][46]|oauth[-_]2|http[-_][123]"
    r"|windows[-_]125\d|office[-_]365|microsoft[-_]365|ed[-_]25519|x[-_]509|top[-_](?:10|20|50|100))(?!\d)",
    re.IGNORECASE | re.ASCII,
)
"""A known word and its number with something between them."""


LONGEST_KNOWN: Final = 64
"""Longer words are not searched for known ones: nobody chose them, and it takes long."""


def is_known(word: str) -> bool:
    """Whether all digits of a word belong to known words."""
    return len(word) <= LONGEST_KNOWN and not any(map(str.isdigit, KNOWN.sub("", word)))
