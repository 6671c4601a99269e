"""Tries the generated client against a running server with the mock data; scripts/python-client runs it.

WEIRGATE_URL and SERVICE_TOKEN name the server.
"""

import datetime
import hashlib
import json
import os

from weirgate_client import AuthenticatedClient
from weirgate_client.api.enqueue import run_daily_pipeline
from weirgate_client.api.jobs import get_job
from weirgate_client.api.operation import create_api_key, delete_api_key, list_tenants
from weirgate_client.api.results import download_export, list_daily_kpis, list_exports
from weirgate_client.models import EnqueueOptions, Job, JobState, NewApiKey, Problem, TenantResource

TENANT = "tenant_demo_cca"
DAY = datetime.date(2026, 1, 20)


def all_tenants(service: AuthenticatedClient) -> list[TenantResource]:
    """Every page of the list: `next` is the cursor of the page after."""
    tenants: list[TenantResource] = []
    page = list_tenants.sync(client=service, active=True, limit=1)
    while True:
        tenants += page.items
        if page.next_ is None:
            return tenants
        page = list_tenants.sync(client=service, active=True, limit=1, cursor=page.next_)


def followed(service: AuthenticatedClient, job: Job) -> Job:
    """The job, once nothing of it will change."""
    while not job.final:
        job = get_job.sync(job.id, client=service, wait=30)
    return job


def main() -> None:
    url = os.environ["WEIRGATE_URL"]
    # The longest wait is a minute.
    service = AuthenticatedClient(base_url=url, token=os.environ["SERVICE_TOKEN"], timeout=90)
    slugs = [tenant.slug for tenant in all_tenants(service)]
    assert slugs == ["tenant_demo_cca", "tenant_demo_client2"], slugs

    # One key, however often the request is sent.
    job = run_daily_pipeline.sync(
        client=service,
        tenant_id=TENANT,
        date=DAY,
        body=EnqueueOptions(),
        prefer="wait=60",
        idempotency_key="try-pipeline",
    )
    assert isinstance(job, Job), job
    job = followed(service, job)
    assert job.state == JobState.COMPLETED, job

    key = create_api_key.sync(TENANT, client=service, body=NewApiKey(name="try"), idempotency_key="try-key")
    again = create_api_key.sync(TENANT, client=service, body=NewApiKey(name="try"), idempotency_key="try-key")
    assert key.key and again.key is None and again.prefix == key.prefix, again
    tenant = AuthenticatedClient(base_url=url, token=key.key, prefix="", auth_header_name="X-API-Key")
    [kpis] = list_daily_kpis.sync(client=tenant, date=DAY).items
    assert (kpis.kpi_date, kpis.tickets_created) == (DAY, 3), kpis

    [export] = list_exports.sync(client=tenant).items
    file = download_export.sync_detailed(export.id, client=tenant).content
    assert hashlib.sha256(file).hexdigest() == export.sha256, export
    assert json.loads(file)["tenant"] == TENANT, file[:200]

    assert delete_api_key.sync_detailed(TENANT, key.prefix, client=service).status_code == 204
    refused = list_exports.sync(client=tenant)
    assert isinstance(refused, Problem) and refused.code == "unauthorized", refused
    print(f"{url}: {len(slugs)} tenants, job {job.id} {job.state}, KPIs of {kpis.kpi_date}, an export of {len(file)} bytes")


if __name__ == "__main__":
    main()
