"""A Docker Engine in namespaces of its own: its networks, its processes and its mounts end with it, however it ends.

dockerd is run by hand, as root. What it would do to the machine it does to a network that nobody else sees: so the
engines of tests that run at the same time do not meet, and a container may have any address. The unix socket is in the
test's folder. No image can be pulled: there is one, made of a busybox.

The engine listens with TLS too, inside; a `Door` leads there from outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import trustme

from tests.servers.fetch import UnavailableError, debian_package
from tests.servers.process import ServerFailedError, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

SUITE = "bookworm"  # holds Docker 20.10.24
PACKAGES = ("containerd", "runc", "busybox-static", "libdevmapper1.02.1", "libseccomp2")
IMAGE = "pointsman-test:1"
NETWORK = "tests"
SUBNET = "10.0.0.0/9"  # nearly all of these addresses can be a container's
GATEWAY = "10.127.255.254"
OVERLAY = "overlay-tests"
TLS_PORT = 2376
_CLONE_NEWNET = 0x40000000
POOL = "10.192.0.0/16"  # of the Swarm's networks

# The engine is begun again when the file `again` is there. As the first process of its namespace, the shell also
# buries what others leave.
BOX = """
busybox ip link set lo up
busybox mount -t tmpfs none /run
while :; do
    dockerd "$@" &
    echo $! > {folder}/dockerd.pid
    wait $!
    while [ ! -e {folder}/again ]; do busybox sleep 0.02; done
    busybox rm {folder}/again
done
"""

_tried: list[bool] = []


@functools.cache
def installed() -> Path:
    """Return the folder of the programs; UnavailableError when they cannot be had, or not be run."""
    if os.geteuid() != 0:
        raise UnavailableError("dockerd has to be run by root")
    if shutil.which("unshare") is None:
        raise UnavailableError("there is no program unshare")
    if not Path("/sys/fs/cgroup").is_dir() or not os.access("/sys/fs/cgroup", os.W_OK):
        raise UnavailableError("the control groups cannot be written to")
    root = debian_package("docker.io", SUITE, *PACKAGES)
    tried = subprocess.run(
        [*_unshare(), str(root / "bin/busybox"), "ip", "link", "set", "lo", "up"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    if tried.returncode:
        raise UnavailableError(f"no namespaces can be made here: {tried.stderr.strip()}")
    return root


class DockerEngine:
    """An engine with an image and the network NETWORK, whose containers may have any address of SUBNET.

    With `live_restore`, containers outlive a `kill` of the engine; it excludes a Swarm. All calls block.
    """

    def __init__(self, folder: Path, *, live_restore: bool = False) -> None:
        root = installed()
        self._folder = folder
        self._cgroup = f"pointsman-tests-{os.getpid()}-{os.urandom(3).hex()}"
        self.socket = folder / "d.sock"
        (folder / "box.sh").write_text(BOX.format(folder=folder))
        (folder / "none.json").write_text("{}")
        self.authority, self.certificate, self.key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
        self._certify()
        libraries = [str(path) for path in sorted([*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")])]
        environment = {
            **os.environ,
            "PATH": f"{root}/usr/sbin:{root}/usr/bin:{root}/bin:{os.environ.get('PATH', os.defpath)}",
            "LD_LIBRARY_PATH": ":".join(libraries),
        }
        command = [
            *_unshare(), str(root / "bin/busybox"), "sh", str(folder / "box.sh"),
            "--config-file", str(folder / "none.json"), "--data-root", str(folder / "data"),
            "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid"), "-H", f"unix://{self.socket}",
            "-H", f"tcp://127.0.0.1:{TLS_PORT}", "--tlsverify", "--tlscacert", str(self.authority),
            "--tlscert", str(folder / "server-cert.pem"), "--tlskey", str(folder / "server-key.pem"),
            "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
            "--exec-opt", "native.cgroupdriver=cgroupfs",
            "--storage-driver=vfs", "--cgroup-parent", f"/{self._cgroup}", "--shutdown-timeout=1", "--log-level=warn",
            "--default-address-pool", "base=10.128.0.0/12,size=24", *(["--live-restore"] * live_restore),
        ]  # fmt: skip
        self._process = ServerProcess(command, folder / "dockerd.log", self._is_ready, environment=environment)
        self._busybox = root / "bin/busybox"

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def open(self) -> None:
        """Start it for the first time, or again after `close` and without its data."""
        _remove_remains()
        try:
            self._process.start()
            self._import()
            self.make_network(NETWORK, SUBNET, GATEWAY)
            self._try()
        except (AssertionError, ServerFailedError) as error:
            self.close()
            raise UnavailableError(f"dockerd or a container cannot be run here: {error}") from error

    def close(self) -> None:
        """End it, its containers and its namespaces."""
        self._process.kill()
        _remove_cgroups(self._cgroup)
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        shutil.rmtree(self._folder / "exec", ignore_errors=True)
        (self._folder / "pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Have dockerd end in good order, and its containers with it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End dockerd as a crash would; its containers go on."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self._pid(), signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid(), signal.SIGCONT)

    def start(self) -> None:
        """Start dockerd again."""
        (self._folder / "pid").unlink(missing_ok=True)
        (self._folder / "again").touch()
        until = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < until, self._process.output()
            time.sleep(0.02)

    def call(self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None) -> Any:
        """Ask the engine for something."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        status, said = self._call(method, f"/v1.41{path}?{urlencode(query or {})}", data, kind)
        assert status < 400, f"{method} {path}: HTTP {status}: {said.decode('utf-8', 'replace')}"
        return json.loads(said) if said.startswith((b"{", b"[")) and b"}\r\n{" not in said else None

    def make_network(self, name: str, subnet: str, gateway: str) -> None:
        config = {
            "Name": name,
            "Driver": "bridge",
            "IPAM": {"Config": [{"Subnet": subnet, "Gateway": gateway}]},
            "Options": {"com.docker.network.bridge.name": f"br-{name}"[:15]},
        }
        self.call("POST", "/networks/create", config)

    def run(
        self,
        name: str,
        labels: Mapping[str, str],
        *,
        address: str = "",
        network: str = NETWORK,
        command: tuple[str, ...] = ("sleep", "3600"),
        **config: Any,
    ) -> str:
        """Create and start a container, and return its identity."""
        host = {"NetworkMode": network, **config.pop("HostConfig", {})}
        endpoint = {"IPAMConfig": {"IPv4Address": address}} if address else {}
        networking = {} if network == "host" else {"EndpointsConfig": {network: endpoint}}
        wanted = {
            "Image": IMAGE, "Cmd": ["/bin/busybox", *command], "Labels": labels, "HostConfig": host,
            "NetworkingConfig": networking, **config,
        }  # fmt: skip
        identity: str = self.call("POST", "/containers/create", wanted, {"name": name})["Id"]
        self.call("POST", f"/containers/{identity}/start")
        return identity

    def act(self, what: str, name: str, **query: str) -> None:
        """Do something with a container: `kill`, `stop`, `start`, `pause`, `unpause`, `rename`."""
        self.call("POST", f"/containers/{quote(name)}/{what}", None, query)

    def remove(self, name: str) -> None:
        status, said = self._call("DELETE", f"/v1.41/containers/{quote(name)}?force=1", None, "")
        assert status in (204, 404), said

    def runs(self, name: str) -> bool:
        status, said = self._call("GET", f"/v1.41/containers/{quote(name)}/json", None, "")
        return status == 200 and bool(json.loads(said)["State"]["Running"])

    def execute(self, name: str, *command: str) -> None:
        """Run a command in a container, to its end."""
        made = self.call("POST", f"/containers/{name}/exec", {"Cmd": ["/bin/busybox", *command]})
        self.call("POST", f"/exec/{made['Id']}/start", {"Detach": False})

    def make_swarm(self) -> None:
        """Make it the manager of a Swarm of its own, with the network OVERLAY."""
        self.make_network("docker_gwbridge", "10.191.0.0/16", "10.191.0.1")
        wanted = {
            "ListenAddr": "127.0.0.1:2377", "AdvertiseAddr": "127.0.0.1", "DefaultAddrPool": [POOL], "SubnetSize": 24,
        }  # fmt: skip
        self.call("POST", "/swarm/init", wanted)
        self.call("POST", "/networks/create", {"Name": OVERLAY, "Driver": "overlay", "Attachable": True})

    def serve(
        self, name: str, labels: Mapping[str, str], *, replicas: int = 1, network: str = OVERLAY, mode: str = "vip"
    ) -> None:
        """Create a service; `mode` is that of its endpoint."""
        container = {"Image": IMAGE, "Command": ["/bin/busybox", "sleep", "3600"], "StopSignal": "SIGKILL"}
        wanted = {
            "Name": name,
            "Labels": labels,
            "TaskTemplate": {
                "ContainerSpec": container,
                "Networks": [{"Target": network}],
                "RestartPolicy": {"Delay": 100_000_000},
            },
            "Mode": {"Replicated": {"Replicas": replicas}},
            "EndpointSpec": {"Mode": mode},
        }
        self.call("POST", "/services/create", wanted)

    def change_service(self, name: str, **changes: Any) -> None:
        """Change keys of a service's specification."""
        known = self.call("GET", f"/services/{name}")
        wanted = {**known["Spec"], **changes}
        self.call("POST", f"/services/{name}/update", wanted, {"version": str(known["Version"]["Index"])})

    def scale(self, name: str, replicas: int) -> None:
        self.change_service(name, Mode={"Replicated": {"Replicas": replicas}})

    def door(self) -> Door:
        """Return a way to the TLS port, for as long as its block lasts."""
        return Door(f"/proc/{_children(self._process.pid)[0]}/ns/net", TLS_PORT)

    def _certify(self) -> None:
        """Make the certificates of the engine and of a client, and the authority that vouches for both."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        for name, host in (("server-", "127.0.0.1"), ("", "pointsman")):
            made = authority.issue_cert(host)
            made.cert_chain_pems[0].write_to_path(self._folder / f"{name}cert.pem")
            made.private_key_pem.write_to_path(self._folder / f"{name}key.pem")

    def _try(self) -> None:
        """Run a container, the first time that there is an engine."""
        if not _tried:
            self.run("tried", {})
            self.remove("tried")
            _tried.append(True)

    def _import(self) -> None:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            archive.add(self._busybox, "bin/busybox")
        repository, tag = IMAGE.split(":")
        self.call("POST", "/images/create", content.getvalue(), {"fromSrc": "-", "repo": repository, "tag": tag})

    def _call(self, method: str, path: str, body: bytes | None, kind: str) -> tuple[int, bytes]:
        connection = _UnixConnection(str(self.socket))
        try:
            connection.request(method, path, body, {"Content-Type": kind} if body is not None else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _is_ready(self) -> bool:
        return self._call("GET", "/_ping", None, "")[0] == 200

    def _answers(self) -> bool:
        try:
            return self._is_ready()
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        pid = self._pid()
        os.kill(pid, how)
        until = time.monotonic() + 20
        while _is_dockerd(pid):
            assert time.monotonic() < until, self._process.output()
            time.sleep(0.01)

    def _pid(self) -> int:
        """Return dockerd's number as we see it: it is a child of the shell, which is the one of unshare."""
        shell = _children(self._process.pid)[0]
        return next(pid for pid in _children(shell) if _is_dockerd(pid))


class Door:
    """A port outside that leads to one of 127.0.0.1 in another network namespace, while the block lasts."""

    def __init__(self, namespace: str, port: int) -> None:
        self._namespace = namespace
        self._inside = ("127.0.0.1", port)
        self._outside = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._outside.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._outside, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        # A namespace belongs to the thread that entered it, and a socket to the one in which it was made.
        with open(self._namespace) as namespace:
            assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) == 0
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._outside.accept()
                try:
                    far = socket.create_connection(self._inside, timeout=10)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self._open |= {near, far}
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _unshare() -> list[str]:
    return ["unshare", "--fork", "--pid", "--kill-child=KILL", "--net", "--mount", "--mount-proc", "--uts", "--ipc"]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_dockerd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "dockerd\n" and _state(pid) not in "ZX"
    except OSError:
        return False


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _remove_cgroups(name: str) -> None:
    """Remove a group of ours, in all hierarchies; processes of it may still be ending."""
    until = time.monotonic() + 5
    for top in (*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")):
        for folder in sorted((top, *(path for path in top.rglob("*") if path.is_dir())), reverse=True):
            while folder.is_dir():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > until:
                        break
                    time.sleep(0.01)


def _remove_remains() -> None:
    """Remove the groups of tests that ended without doing so; all else of theirs ended with them."""
    found = {path.name for path in Path("/sys/fs/cgroup").glob("*/pointsman-tests-*")}
    found |= {path.name for path in Path("/sys/fs/cgroup").glob("pointsman-tests-*")}
    for name in found:
        if not Path(f"/proc/{name.split('-')[2]}").exists():
            _remove_cgroups(name)
