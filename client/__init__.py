"""What a program or a person uses: the Python client and the `orfeas` command. It speaks HTTP only.

from client import Client

with Client() as orfeas:
    job = orfeas.wait(orfeas.submit("cup.png", format="stl", size_mm=80))
    orfeas.download(job, "cup.stl")
"""

from __future__ import annotations

from client.aio import AsyncClient
from client.errors import ApiError, JobCanceled, JobFailed, NotReachable, OrfeasError, WaitTimeout
from client.models import Job
from client.retries import RetryPolicy
from client.sync import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "Job",
    "JobCanceled",
    "JobFailed",
    "NotReachable",
    "OrfeasError",
    "RetryPolicy",
    "WaitTimeout",
]
