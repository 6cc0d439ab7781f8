"""HAProxy, nginx and openssl's server, as neighbours that pointsman must get on with."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.debian import DebianProgram

_HAPROXY = """
global
  log stderr format raw local0
defaults
  mode {mode}
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend front
  bind {bind}
  {rules}
  default_backend back
backend back
  {backend}
"""

_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder};
  proxy_temp_path {folder};
  fastcgi_temp_path {folder};
  uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  server {{
    {server}
    location / {{
      return 200 "$proxy_protocol_addr $remote_addr $ssl_client_s_dn $ssl_server_name $ssl_session_reused\\n";
    }}
  }}
}}
"""


def haproxy(
    program: DebianProgram,
    folder: Path,
    port: int,
    backend: str,
    *,
    mode: str = "http",
    bind: str = "",
    rules: str = "",
) -> ServerProcess:
    """HAProxy on a port of 127.0.0.1, with these words behind it."""
    file = folder / f"haproxy-{port}.cfg"
    bind = bind or f"127.0.0.1:{port}"
    file.write_text(_HAPROXY.format(mode=mode, bind=bind, rules=rules, backend=backend))
    return ServerProcess([program.path, "-db", "-f", str(file)], folder / f"haproxy-{port}.log", lambda: _accepts(port))


def nginx(program: DebianProgram, folder: Path, port: int, server: str) -> ServerProcess:
    """Nginx with a server of these words, which answers with what it knows of the client."""
    file = folder / f"nginx-{port}.conf"
    file.write_text(_NGINX.format(folder=folder, server=server))
    command = [program.path, "-p", str(folder), "-c", str(file)]
    return ServerProcess(command, folder / f"nginx-{port}.log", lambda: _accepts(port))


def s_server(program: DebianProgram, folder: Path, port: int, *more: str) -> ServerProcess:
    """`openssl s_server`, which answers each request with what it knows of the connection."""
    command = [program.path, "s_server", "-accept", f"127.0.0.1:{port}", "-www", *more]
    return ServerProcess(command, folder / f"s_server-{port}.log", lambda: _accepts(port))


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
