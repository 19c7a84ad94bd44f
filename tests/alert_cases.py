"""Series as Prometheus would have scraped them, one sample a minute: of a service that is well, and of each fault."""

from __future__ import annotations

HEALTHY = {
    'up{job="orfeas", instance="a"}': "1x240",
    'orfeas_redis_up{instance="a"}': "1x240",
    'orfeas_redis_memory_bytes{instance="a"}': "50x240",
    'orfeas_redis_memory_limit_bytes{instance="a"}': "100x240",
    'orfeas_redis_persistence_ok{instance="a"}': "1x240",
    'orfeas_workers_alive{queue="generate", device="cuda:0", instance="a"}': "1x240",
    'orfeas_workers_alive{queue="render", device="cpu", instance="a"}': "1x240",
    'orfeas_queue_depth{queue="generate", instance="a"}': "3x240",
    'orfeas_queue_limit{instance="a"}': "100x240",
    'orfeas_queue_wait_seconds_count{queue="generate", instance="a"}': "0+1x240",
    'orfeas_queue_wait_seconds_bucket{queue="generate", le="30.0", instance="a"}': "0+1x240",
    'orfeas_queue_wait_seconds_bucket{queue="generate", le="+Inf", instance="a"}': "0+1x240",
    'orfeas_generation_seconds_sum{generator="inflate", instance="a"}': "0+2x240",
    'orfeas_generation_seconds_count{generator="inflate", instance="a"}': "0+1x240",
    'orfeas_job_failures_total{code="bad_image", instance="a"}': "0+1x240",
    'orfeas_job_failures_total{code="poison", instance="a"}': "0x240",
    'orfeas_job_failures_total{code="storage_failed", instance="a"}': "0x240",
    'orfeas_job_failures_total{code="timeout", instance="a"}': "0x240",
    'orfeas_jobs_ended_total{status="succeeded", instance="a"}': "0+2x240",
    'orfeas_jobs_ended_total{status="failed", instance="a"}': "0+1x240",
    'orfeas_cache_shared_up{instance="a"}': "1x240",
    'orfeas_http_request_seconds_count{route="/api/jobs", status="2xx", instance="a"}': "0+60x240",
    'orfeas_http_request_seconds_count{route="/api/jobs", status="5xx", instance="a"}': "0+1x240",
    'orfeas_http_request_seconds_bucket{route="/api/jobs", le="0.5", instance="a"}': "0+60x240",
    'orfeas_http_request_seconds_bucket{route="/api/jobs", le="+Inf", instance="a"}': "0+60x240",
    'orfeas_webhook_deliveries_total{outcome="failed", instance="a"}': "0x240",
    'orfeas_webhooks_pending{instance="a"}': "3x240",
}

# What is different where an alert must fire after four hours.
FAULTS: dict[str, dict[str, str]] = {
    "OrfeasDown": {'up{job="orfeas", instance="a"}': "0x240"},
    "OrfeasRedisDown": {'orfeas_redis_up{instance="a"}': "0x240"},
    "OrfeasRedisNearlyFull": {'orfeas_redis_memory_bytes{instance="a"}': "95x240"},
    "OrfeasRedisNotPersisting": {'orfeas_redis_persistence_ok{instance="a"}': "0x240"},
    "OrfeasNoWorkers": {'orfeas_workers_alive{queue="generate", device="cuda:0", instance="a"}': "0x240"},
    "OrfeasQueueStuck": {'orfeas_queue_wait_seconds_count{queue="generate", instance="a"}': "7x240"},
    "OrfeasQueueNearlyFull": {'orfeas_queue_depth{queue="generate", instance="a"}': "90x240"},
    "OrfeasLongWait": {
        'orfeas_queue_wait_seconds_bucket{queue="generate", le="30.0", instance="a"}': "0x240",
        'orfeas_queue_wait_seconds_bucket{queue="generate", le="600.0", instance="a"}': "0x240",
        'orfeas_queue_wait_seconds_bucket{queue="generate", le="1800.0", instance="a"}': "0+1x240",
    },
    "OrfeasSlowGenerations": {
        'orfeas_generation_seconds_sum{generator="inflate", instance="a"}': "0+2x190 1380+1000x50",
    },
    "OrfeasJobsFailing": {'orfeas_job_failures_total{code="timeout", instance="a"}': "0+1x240"},
    "OrfeasPoison": {'orfeas_job_failures_total{code="poison", instance="a"}': "0x200 1x40"},
    "OrfeasStorageFailing": {'orfeas_job_failures_total{code="storage_failed", instance="a"}': "0x230 1x10"},
    "OrfeasCacheDown": {'orfeas_cache_shared_up{instance="a"}': "0x240"},
    "OrfeasHttpErrors": {'orfeas_http_request_seconds_count{route="/api/jobs", status="5xx", instance="a"}': "0+6x240"},
    "OrfeasHttpSlow": {
        'orfeas_http_request_seconds_bucket{route="/api/jobs", le="0.5", instance="a"}': "0+30x240",
        'orfeas_http_request_seconds_bucket{route="/api/jobs", le="5.0", instance="a"}': "0+60x240",
    },
    "OrfeasWebhooksFailing": {'orfeas_webhook_deliveries_total{outcome="failed", instance="a"}': "0x200 1x40"},
    "OrfeasWebhooksWaiting": {'orfeas_webhooks_pending{instance="a"}': "600x240"},
}
