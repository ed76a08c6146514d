#!/usr/bin/env python3
"""Checks the evidence in the folder that this file is in. Needs Python 3 and openssl."""
import base64, glob, hashlib, json, os, subprocess, sys

here = os.path.dirname(os.path.abspath(__file__))
failed = 0


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(leaf, n, size, path):
    """The root that the proof leads to, RFC 9162 2.1.3.2."""
    h, m = sha(b"\x00", leaf), size - 1
    if not 0 <= n <= m:
        return None
    for p in path:
        if m == 0:
            return None
        if n % 2 == 1 or n == m:
            h = sha(b"\x01", p, h)
            while n % 2 == 0 and n != 0:
                n, m = n // 2, m // 2
        else:
            h = sha(b"\x01", h, p)
        n, m = n // 2, m // 2
    return h if m == 0 else None


def read(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


def tell(ok, what):
    global failed
    failed += not ok
    print(("ok      " if ok else "FAILED  ") + what)


for note in sorted(glob.glob(os.path.join(here, "*", "checkpoint"))):
    folder, epoch = os.path.dirname(note), os.path.basename(os.path.dirname(note))
    text = read(note)
    body, _, signature = text.partition(b"\n\n")
    body += b"\n"
    raw = base64.b64decode(signature.split()[-1], validate=True)
    tell(body == read(folder, "checkpoint.body") and raw[4:] == read(folder, "checkpoint.sig"), epoch + ": checkpoint.body and .sig are the checkpoint's")
    if os.path.exists(os.path.join(folder, "key.pem")):
        verdict = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", os.path.join(folder, "key.pem"), "-rawin",
             "-in", os.path.join(folder, "checkpoint.body"), "-sigfile", os.path.join(folder, "checkpoint.sig")], capture_output=True)
        tell(verdict.returncode == 0, epoch + ": the checkpoint is signed by key.pem")
    else:
        tell(False, epoch + ": there is no key to check the signature with")
    lines = body.decode().split("\n")
    size, root = int(lines[1]), base64.b64decode(lines[2], validate=True)
    leaves = sorted(glob.glob(os.path.join(folder, "leaf-*.json")))
    tell(len(leaves) > 0, epoch + ": there are lines of the log")
    for path in leaves:
        leaf = read(path)
        proof = json.loads(read(path.replace("leaf-", "proof-")))
        way = [base64.b64decode(h, validate=True) for h in proof["hashes"]]
        said = json.loads(leaf)
        tell(proof["size"] == size and said["sequence"] == proof["leaf"] + 1 and root_of(leaf, proof["leaf"], size, way) == root,
             "%s: line %d, %s of %s, is in the log" % (epoch, proof["leaf"], said.get("subject"), said.get("stored")))

print("\nCompare each verifier-key.txt with the key that the operator has published.")
sys.exit(1 if failed else 0)
