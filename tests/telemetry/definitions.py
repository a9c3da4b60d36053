"""Definition texts that tests build upon."""

from groundstation.telemetry.definition import Definition, load_definition

HEAD = 'slug = "test-sat"\nversion = "1"\nname = "Test-Sat"\nstatus = "simulated"\n'


def parameter(body: str) -> str:
    return f"[[packets.parameters]]\n{body}\n"


def packet(*parameters: str, head: str = 'name = "hk"\nmatch = 1') -> str:
    return f"[[packets]]\n{head}\n" + "".join(parameter(body) for body in parameters)


def one_packet(*parameters: str, frame: str = "") -> Definition:
    return load_definition(f"{HEAD}\n[frame]\n{frame}\n" + packet(*parameters), "test-sat.toml")
