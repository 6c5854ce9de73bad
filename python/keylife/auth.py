# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""How a client logs in. Credentials in files are read anew at each login."""

from dataclasses import dataclass, field
from typing import Any, Dict, NamedTuple, Optional, Protocol

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"


class Login(NamedTuple):
    """A token and how long it lives."""

    token: str
    ttl: float  # seconds; 0: for ever
    renewable: bool


class Ask(Protocol):
    """Sends a request of a login and gives its answer, or raises Unavailable or AccessDenied."""

    def __call__(self, method: str, path: str, body: Optional[Dict[str, Any]] = None, token: str = "") -> Dict[str, Any]: ...


class Auth(Protocol):
    """Logs in, each time anew."""

    def login(self, ask: Ask) -> Login: ...


@dataclass(frozen=True)
class AppRole:
    role_id: str
    secret_id: Optional[str] = field(default=None, repr=False)
    secret_id_file: Optional[str] = None
    mount: str = "approle"

    def __post_init__(self) -> None:
        if self.secret_id is not None and self.secret_id_file is not None:
            raise ValueError("AppRole: secret_id and secret_id_file exclude each other")

    def login(self, ask: Ask) -> Login:
        body = {"role_id": self.role_id}
        secret = read_secret(self.secret_id_file) if self.secret_id_file is not None else self.secret_id
        if secret is not None:
            body["secret_id"] = secret
        return granted(ask("post", f"auth/{self.mount}/login", body))


@dataclass(frozen=True)
class Kubernetes:
    role: str
    token_file: str = _SERVICE_ACCOUNT
    mount: str = "kubernetes"

    def login(self, ask: Ask) -> Login:
        body = {"role": self.role, "jwt": read_secret(self.token_file)}
        return granted(ask("post", f"auth/{self.mount}/login", body))


@dataclass(frozen=True)
class Cert:
    """Logs in by the client certificate that the client was given as cert."""

    name: Optional[str] = None
    mount: str = "cert"

    def login(self, ask: Ask) -> Login:
        return granted(ask("post", f"auth/{self.mount}/login", {"name": self.name} if self.name else {}))


@dataclass(frozen=True)
class TokenFile:
    """Takes the token that Vault Agent or an operator puts into a file."""

    path: str

    def login(self, ask: Ask) -> Login:
        return looked_up(read_secret(self.path), ask)


def granted(answer: Dict[str, Any]) -> Login:
    """What a login or a renewal answered. Raises LookupError, TypeError or ValueError where it is none."""
    auth = answer["auth"]
    return Login(str(auth["client_token"]), float(auth["lease_duration"]), bool(auth["renewable"]))


def looked_up(token: str, ask: Ask) -> Login:
    """A token that was there, with what lookup-self says of it."""
    data = ask("get", "auth/token/lookup-self", None, token)["data"]
    return Login(token, float(data["ttl"]), bool(data.get("renewable", False)))


def read_secret(path: str) -> str:
    """The text of a file without the white space around it."""
    with open(path, encoding="utf-8") as file:
        return file.read().strip()
