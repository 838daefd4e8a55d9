"""A script in which rank 1 does what its argument says while the others wait for it in a collective."""

import os
import signal
import sys
import threading
import time

import numpy as np

from mlp.parallel import MPICommunicator


def say(text: str) -> None:
    """A line in one piece, as other ranks' lines come between the pieces of a print."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(fault: str) -> None:
    world = MPICommunicator.world(time_limit=2.0 if fault == "receive" else 600.0)
    world.barrier()
    if world.rank == 0:
        say("all are here")
    if fault == "late":  # ranks that end without waiting for each other are no fault
        time.sleep(1.5 * (world.rank == 0))
        say(f"rank {world.rank} is done")
        return
    if world.rank == 1:
        match fault:
            case "raise":
                raise ValueError("the loss is not finite")
            case "exit 0":
                sys.exit(0)
            case "exit 2":
                sys.exit(2)
            case "exit 3":
                sys.exit(3)
            case "exit 3 and a thread":
                threading.Thread(target=time.sleep, args=(1000,)).start()
                sys.exit(3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "vanish":
                os._exit(0)
            case "abort":
                world.abort("enough of this")
            case "other call":
                world.broadcast(np.ones(3))
            case "receive":
                world.receive(np.ones(3), source=0)
            case "send":
                world.send(np.ones(4), to=0)
            case "sleep":
                time.sleep(1000)
    if fault == "send" and world.rank == 0:
        world.receive(np.ones(3), source=1)
    world.all_reduce(np.ones(3))


main(sys.argv[1])
