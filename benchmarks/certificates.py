"""An authority and a server certificate of the run's own, for `127.0.0.1`."""

import dataclasses
import pathlib

import trustme


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files in PEM form.

    Attributes:
        authority: What clients must trust.
        chain: The server's certificate.
        key: Its key.
    """

    authority: pathlib.Path
    chain: pathlib.Path
    key: pathlib.Path


def make_certificates(folder: pathlib.Path) -> Certificates:
    """Make both."""
    folder.mkdir(parents=True)
    files = Certificates(
        authority=folder / "ca.pem", chain=folder / "server.pem", key=folder / "server.key"
    )
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(files.authority))
    server.cert_chain_pems[0].write_to_path(str(files.chain))
    server.private_key_pem.write_to_path(str(files.key))
    return files
