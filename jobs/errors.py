"""What can go wrong with a job, as one tree; HTTP statuses are decided in `api/errors.py`.

JobError                     code, message, retryable
├── InputError               the caller's fault, never retried
│   ├── BadImage             not a picture, broken, animated, empty
│   ├── ImageTooLarge        over MAX_IMAGE_MP or MAX_UPLOAD_MB
│   ├── BadParameters        an option or a generator parameter; names the fields
│   ├── UnknownGenerator
│   └── NoSurface            the picture was read but holds no shape to build
├── GenerationError          what a run can end in
│   ├── OutOfMemory          tried again
│   ├── GeneratorUnavailable no worker that could run it has been there for GENERATOR_WAIT_S
│   │   └── NoGenerators     no worker has announced any yet
│   ├── GenerationFailed     the generator raised something it should not have
│   ├── TimedOut             JOB_TIME_LIMIT_S or STALL_LIMIT_S passed
│   ├── Poison               its workers died MAX_ATTEMPTS times
│   ├── ResultGone           a mesh or an upload that is kept no longer
│   └── StorageFailed        the archive or Redis did not take the result
├── Canceled                 nobody waits for this any more
└── Superseded               the claim's token is stale: somebody else owns the work now
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One field of a request and what is wrong with it."""

    field: str
    message: str


class JobError(Exception):
    """Base of the tree: a stable `code`, a message for people, whether trying again can help."""

    code = "job_error"
    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def as_dict(self) -> dict[str, object]:
        return {"code": self.code, "message": self.message, "retryable": self.retryable}


class InputError(JobError):
    code = "bad_input"


class BadImage(InputError):
    code = "bad_image"


class ImageTooLarge(InputError):
    code = "image_too_large"


class BadParameters(InputError):
    code = "bad_parameters"

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class UnknownGenerator(InputError):
    code = "unknown_generator"


class NoSurface(InputError):
    code = "no_surface"


class GenerationError(JobError):
    code = "generation_error"


class OutOfMemory(GenerationError):
    code = "out_of_memory"
    retryable = True


class GeneratorUnavailable(GenerationError):
    code = "generator_unavailable"
    retryable = True


class NoGenerators(GeneratorUnavailable):
    code = "no_generators"


class GenerationFailed(GenerationError):
    code = "generation_failed"


class TimedOut(GenerationError):
    code = "timeout"


class Poison(GenerationError):
    code = "poison"


class StorageFailed(GenerationError):
    code = "storage_failed"
    retryable = True


class ResultGone(GenerationError):
    code = "result_gone"


class Canceled(JobError):
    code = "canceled"


class Superseded(JobError):
    code = "superseded"
