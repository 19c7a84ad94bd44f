"""Commands of the documents that are not run where they are found: what proves each, and why it cannot be typed here.

A row is stale when no page says its command any more, or when what it names is gone; a test looks for both.
"""

from __future__ import annotations

# By the test that proves them: they set up, start or stop things, or take the whole suite.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "test_cli_service.py::test_the_demo_starts_a_service_makes_a_mesh_and_is_served_from_the_cache_the_second_time": (
        "./orfeas demo",
    ),
    "test_bootstrap.py::test_the_word_test_runs_the_tests_of_the_project": (
        "./orfeas test",
        "./orfeas test tests/test_stack.py tests/test_stack_service.py",
        "./orfeas test tests/test_deploy_files.py",
        "./orfeas test tests/rehearsal",
    ),
    "test_bootstrap.py::test_cuda_that_nobody_asked_for_is_refused_before_it_is_fetched": (
        "ORFEAS_TORCH=cuda ./orfeas up",
    ),
    "test_stack_service.py::test_foreground_stack_stops_at_a_signal_and_leaves_no_process": ("./orfeas up",),
    "test_stack_service.py::test_the_environment_says_how_many_workers_there_are": ("GENERATE_WORKERS=4 ./orfeas up",),
    "test_docs_first_screen.py::test_the_first_screen_leads_to_a_printed_size_mesh_of_ones_own_photo": (
        "./orfeas generate photo.jpg --format stl --size-mm 80",
    ),
    "test_docs_fleet.py::test_the_commands_for_several_hosts_make_a_fleet": (
        "export REDIS_URL=redis://10.0.0.5:6379/0 ARCHIVE_URL=s3://meshes/orfeas",
        "celery -A worker.app worker -Q generate -c 1 -n generate1@%h -E",
        "celery -A worker.app worker -Q render -c 4 -n render@%h -E",
        "gunicorn --threads 32 api.wsgi:app",
        ".venv/bin/python -m celery -A worker.app worker -Q generate -P prefork -c 1 -E -n another@%h",
    ),
    "test_extend.py::test_its_page_is_true": (
        ".venv/bin/pip install ./docs/extend/orfeas-lathe",
        "./orfeas generate vase.png --generator lathe --param segments=64",
    ),
    "test_cli.py::test_completion_is_installed_and_shown": (
        "orfeas --install-completion",
        "orfeas --show-completion",
    ),
    "test_benches.py::test_a_benchmark_prints_its_table": (
        "python -m bench.repeats --requests 30",
        "python -m bench.generators",
        "python -m bench.cache",
        "python -m bench.cache shared",
        "python -m bench.cache neighbours",
        "python -m bench.cache_policy",
        "python -m bench.renditions",
    ),
    "test_benches.py::test_two_hundred_streams_are_open_beside_normal_traffic": ("python -m bench.streams",),
    "test_benches.py::test_the_pictures_of_the_page_are_drawn": ("python -m bench.page_pictures",),
    "test_deploy_files.py::test_systemd_accepts_the_unit": ("systemd-analyze verify",),
    "test_cache_policy.py::test_the_command_replays_a_recorded_trace": ("python -m bench.cache_policy data/trace",),
    "e2e/test_proxy.py::test_the_client_walks_the_same_way": (
        "TRUSTED_PROXIES=unix gunicorn --threads 32 --bind unix:/run/orfeas/api.sock api.wsgi:app",
    ),
    "faults/test_chaos.py::test_random_kills_lose_no_job_and_double_none_and_nothing_grows": (
        "ORFEAS_CHAOS_S=600 pytest -s tests/faults/test_chaos.py",
    ),
    "faults/test_takeover.py::test_workers_killed_in_generate_are_taken_over": (
        (
            "python -m pytest tests/faults tests/security/test_slow_clients.py tests/test_webhook_shares.py -s"
            " | grep measured"
        ),
    ),
}

# What no machine of ours has or may do: the file that the command is about, and what must stand in it.
NOT_HERE: dict[str, tuple[str, str]] = {
    "apt-get install chromium": (".ci/run", r"^install chromium chromium$"),
    "pip install -r bench/cache/requirements.txt": ("bench/cache/requirements.txt", r"^[a-z]"),
    "make soak": ("Makefile", r"^soak: "),
    "make pins": ("Makefile", r"^pins: "),
    "nvidia-smi": ("deploy/stack/gpus.py", r'which\("nvidia-smi"\)'),
    "systemctl status orfeas": ("deploy/systemd/orfeas.service", r"^\[Service\]$"),
    "systemctl start orfeas": ("deploy/systemd/orfeas.service", r"^\[Service\]$"),
    "docker compose ps": ("deploy/docker/compose.yaml", r"^services:$"),
    "docker compose up -d worker render": ("deploy/docker/compose.yaml", r"^  worker:$(.|\n)*^  render:$"),
    "docker compose up -d --scale worker=N": ("deploy/docker/compose.yaml", r"^  worker:$"),
    "kubectl get pods": ("deploy/kubernetes/worker.yaml", r"^kind: Deployment$"),
    "kubectl describe pod": ("deploy/kubernetes/worker.yaml", r"^kind: Deployment$"),
    "redis-cli --latency": ("deploy/doctor/redis.py", r"clock"),  # it never ends
}

LISTED = frozenset([*NOT_HERE, *(command for group in ELSEWHERE.values() for command in group)])
