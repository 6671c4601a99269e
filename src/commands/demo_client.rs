//! The demo's client: acts as n8n would, over real HTTP.

use std::time::Duration;

use anyhow::{Context, bail};
use chrono::NaiveDate;
use indicatif::ProgressBar;
use reqwest::{Client, RequestBuilder};
use serde::Serialize;
use serde_json::{Value, json};
use weirgate_web::tls::http_client;

use crate::seed::Seeded;

/// What one tenant got.
#[derive(Debug, Serialize)]
pub(super) struct TenantResult {
    pub(super) tenant: String,
    pub(super) kpis: Value,
    pub(super) jobs: Vec<Value>,
    pub(super) export: Value,
    pub(super) ticket_summary: Value,
}

/// Speaks to the API of this process through its socket.
pub(super) struct DemoClient {
    http: Client,
    base: String,
    token: String,
}

impl DemoClient {
    pub(super) fn new(base: String, token: String) -> anyhow::Result<Self> {
        Ok(Self { http: http_client().timeout(Duration::from_mins(1)).no_proxy().build()?, base, token })
    }

    /// Starts the daily pipeline; answers its workflow's id.
    pub(super) async fn start_pipeline(&self, tenant: &Seeded, date: NaiveDate) -> anyhow::Result<String> {
        let path = format!("/internal/pipelines/daily?tenant_id={}&date={date}", tenant.slug);
        let job = self.answer(self.internal(self.http.post(self.url(&path)))).await?;
        let workflow = job["workflow_id"].as_str().context("the pipeline's job has no workflow_id")?;
        Ok(workflow.to_owned())
    }

    /// Polls the jobs of the workflows to their end; the bar counts those that are final.
    pub(super) async fn follow(
        &self,
        workflows: &[String],
        bar: &ProgressBar,
    ) -> anyhow::Result<Vec<Vec<Value>>> {
        loop {
            let mut all = Vec::new();
            for workflow in workflows {
                let path = format!("/internal/jobs?workflow_id={workflow}&limit=100");
                let page = self.answer(self.internal(self.http.get(self.url(&path)))).await?;
                let mut jobs = page["items"].as_array().cloned().unwrap_or_default();
                // The list is newest first; people read in order of time.
                jobs.sort_by_key(|job| job["attempted_at"].as_str().unwrap_or("~").to_owned());
                all.push(jobs);
            }
            let jobs = || all.iter().flatten();
            bar.set_length(jobs().count() as u64);
            bar.set_position(jobs().filter(|job| !job["finalized_at"].is_null()).count() as u64);
            if jobs().all(|job| !job["finalized_at"].is_null()) {
                bar.finish_and_clear();
                return Ok(all);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Reads what the tenant may read, with its key.
    pub(super) async fn read(
        &self,
        tenant: &Seeded,
        date: NaiveDate,
        jobs: Vec<Value>,
    ) -> anyhow::Result<TenantResult> {
        let failed: Vec<String> = jobs
            .iter()
            .filter(|job| job["state"] != "completed")
            .map(|job| format!("{} is {}: {}", job["kind"], job["state"], job["errors"]))
            .collect();
        if !failed.is_empty() {
            bail!("{}", failed.join("; "));
        }
        let key = tenant.api_key.as_deref().context("the tenant got no API key")?;
        let kpis = self.get(key, &format!("/v1/kpis/daily?date={date}")).await?["items"][0].take();
        if kpis.is_null() {
            bail!("/v1/kpis/daily has no row for {date}");
        }
        let tickets = self.get(key, "/v1/tickets?limit=1").await?;
        let ticket_summary = match tickets["items"][0]["cw_ticket_id"].as_str() {
            Some(id) => self.get(key, &format!("/v1/tickets/{id}/summary")).await?,
            None => Value::Null,
        };
        let export = self.download(key, date).await?;
        Ok(TenantResult { tenant: tenant.slug.clone(), kpis, jobs, export, ticket_summary })
    }

    /// Works out the KPIs of the days around one that are missing, as a backfill, and follows it to
    /// its end; what it has to do is known from the pipelines' tickets.
    pub(super) async fn backfill(
        &self,
        tenants: &[Seeded],
        (from, to): (NaiveDate, NaiveDate),
        bar: &ProgressBar,
    ) -> anyhow::Result<()> {
        let slugs: Vec<&str> = tenants.iter().map(|tenant| tenant.slug.as_str()).collect();
        let body = json!({ "kind": "compute_kpi", "tenants": slugs, "from": from, "to": to });
        let request = self.http.post(self.url("/internal/backfills")).json(&body);
        let mut backfill = self.answer(self.internal(request)).await?;
        let path = format!("/internal/backfills/{}", backfill["id"].as_str().context("it has no id")?);
        while backfill["finished_at"].is_null() {
            bar.set_length(backfill["total"].as_u64().unwrap_or(0));
            bar.set_position(backfill["done"].as_u64().unwrap_or(0));
            tokio::time::sleep(Duration::from_millis(100)).await;
            backfill = self.answer(self.internal(self.http.get(self.url(&path)))).await?;
        }
        bar.finish_and_clear();
        if backfill["state"] != "completed" {
            bail!("it is {}: {}", backfill["state"], backfill["counts"]);
        }
        Ok(())
    }

    /// The days of the tenant that its KPIs find unusual.
    pub(super) async fn anomalies(
        &self,
        tenant: &Seeded,
        (from, to): (NaiveDate, NaiveDate),
    ) -> anyhow::Result<Vec<Value>> {
        let key = tenant.api_key.as_deref().context("the tenant got no API key")?;
        let days = self.get(key, &format!("/v1/kpis/daily?from={from}&to={to}")).await?;
        let unusual =
            days["items"].as_array().into_iter().flatten().filter(|day| day["anomaly_detected"] == true);
        let told = unusual.map(|day| {
            json!({
                "tenant": tenant.slug, "date": day["kpi_date"], "tickets_created": day["tickets_created"],
                "z_score": day["z_score"],
            })
        });
        Ok(told.collect())
    }

    /// The export of the day: its resource, with what was downloaded checked against it.
    async fn download(&self, key: &str, date: NaiveDate) -> anyhow::Result<Value> {
        let exports = self.get(key, "/v1/exports?limit=500").await?;
        let mut export = exports["items"]
            .as_array()
            .and_then(|all| all.iter().find(|it| it["date"] == date.to_string() && it["format"] == "json"))
            .cloned()
            .with_context(|| format!("/v1/exports has none for {date}"))?;
        let id = export["id"].as_str().context("the export has no id")?;
        let url = self.url(&format!("/v1/exports/{id}/download"));
        let file =
            self.http.get(url).header("x-api-key", key).send().await?.error_for_status()?.bytes().await?;
        if export["bytes"] != file.len() {
            bail!("the download has {} bytes instead of {}", file.len(), export["bytes"]);
        }
        let content: Value = serde_json::from_slice(&file).context("the downloaded export is not JSON")?;
        export["tickets"] = content["tickets"].as_array().map(Vec::len).into();
        export["time_entries"] = content["time_entries"].as_array().map(Vec::len).into();
        Ok(export)
    }

    async fn get(&self, key: &str, path: &str) -> anyhow::Result<Value> {
        self.answer(self.http.get(self.url(path)).header("x-api-key", key)).await
    }

    fn internal(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.send().await?;
        let (status, url) = (answer.status(), answer.url().clone());
        let body = answer.text().await?;
        if !status.is_success() {
            bail!("{url} answered {status}: {body}");
        }
        serde_json::from_str(&body).with_context(|| format!("{url} answered no JSON: {body}"))
    }
}
