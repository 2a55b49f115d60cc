"""Keeps a replica's own door on loopback where the machine's Ray listens there.

Serve opens one in every replica for requests of other deployments, on all addresses of the machine and without asking
who comes; what is sent to it is unpickled. There is no setting for that, hence this reaches into its parts.
"""

from typing import Any


def stay_on_loopback() -> None:
    """Let the doors that Serve opens from now on in this process listen where the machine's Ray does."""
    import ray
    from ray.serve._private import replica

    address = ray.util.get_node_ip_address()
    open_port: Any = replica.add_port_to_grpc_server

    def open_here(server: Any, where: str) -> Any:
        return open_port(server, where.replace("[::]", address))

    if address == "127.0.0.1":
        replica.add_port_to_grpc_server = open_here
