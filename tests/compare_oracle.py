"""compare_oracle.py - our BODYSTRUCTURE against what Python's email package
makes of the message: types, how parts lie in each other, boundaries.

It speaks only where it has no defect to report, and not where a CR stands
alone: to it that is a line end. It is no server, so what it says is compared
with ours alone; compare_rules.py judges as it does for Dovecot.
"""

import email
import email.policy
import re

import compare_rules


def defective(message):
    return any(part.defects for part in message.walk())


def shape(message, out, at):
    """[(depth, type)] in the order of the message."""
    kind = message.get_content_type().encode("latin-1", "replace")
    out.append((at, kind, boundary(message)))
    inner = message.get_payload()
    if kind == b"message/rfc822" or message.get_content_maintype() == \
            "multipart":
        if isinstance(inner, list):
            for part in inner:
                shape(part, out, at + 1)
    return out


def boundary(message):
    if message.get_content_maintype() != "multipart":
        return None
    return (message.get_boundary() or "").encode("latin-1", "replace")


def from_tree(tree, out, at):
    """The same of our BODYSTRUCTURE."""
    if isinstance(tree[0], list):
        n = next(i for i, x in enumerate(tree) if not isinstance(x, list))
        words = tree[n + 1] or []
        found = [v for k, v in zip(words[0::2], words[1::2])
                 if k.lower() == b"boundary"]
        out.append((at, b"multipart/" + tree[n].lower(),
                    (found or [b""])[0].rstrip()))
        for child in tree[:n]:
            from_tree(child, out, at + 1)
        return out
    kind = (tree[0] + b"/" + tree[1]).lower()
    out.append((at, kind, None))
    if kind == b"message/rfc822":
        from_tree(tree[8], out, at + 1)
    return out


def compare(table, m):
    data = m.header + m.text
    if re.search(rb"\r(?!\n)", data):
        return
    message = email.message_from_bytes(data)
    if defective(message):
        return
    try:
        theirs = shape(message, [], 0)
    except (UnicodeError, ValueError, LookupError, TypeError,
            AttributeError):
        return          # it stumbled; it does not speak
    ours = from_tree(m.ours["BODYSTRUCTURE"], [], 0)
    table.same(compare_rules.Case(m, "oracle", "", m.header, ours, theirs))
