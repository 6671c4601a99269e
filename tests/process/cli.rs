//! The commands, on a database of their own.

use serde_json::Value;
use tempfile::TempDir;
use weirgate_test_support::{Probe, TestDb, TestWorker};

use crate::support::{Process, database, weirgate};

/// Of the databases of these tests.
pub(super) const SECRET_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f000112233445566778899aabbccddeeff";

pub(super) struct Cli {
    pub(super) db: TestDb,
    pub(super) home: TempDir,
}

impl Cli {
    pub(super) async fn new() -> Self {
        Self { db: database().await, home: tempfile::tempdir().unwrap() }
    }

    pub(super) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = weirgate(args, self.home.path());
        command.env("DATABASE_URL", &self.db.url).env("WEIRGATE_SECRET_KEY", SECRET_KEY);
        command
    }

    pub(super) async fn run(&self, args: &[&str]) -> (bool, String) {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let both = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(both).unwrap())
    }

    /// What it writes to standard output.
    pub(super) async fn out(&self, args: &[&str]) -> String {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) async fn ok(&self, args: &[&str]) -> String {
        let (ok, said) = self.run(args).await;
        assert!(ok, "{args:?}: {said}");
        said
    }

    pub(super) async fn refused(&self, args: &[&str]) -> String {
        let (ok, said) = self.run(args).await;
        assert!(!ok, "{args:?}: {said}");
        said
    }
}

#[tokio::test]
async fn from_seed_to_a_finished_job() {
    let cli = Cli::new().await;
    let seeded = cli.ok(&["seed"]).await;
    assert!(seeded.contains("tenant_demo_cca") && seeded.contains("wg_"), "{seeded}");
    assert!(!cli.ok(&["seed"]).await.contains("wg_"), "a second seed shows no key");
    // The jobs are counted below, at whatever time of night.
    cli.ok(&["schedules", "pause", "daily_pipeline"]).await;
    let worker = Process::start(&mut cli.command(&["worker"]));
    let job: Value = serde_json::from_str(
        &cli.out(&["enqueue", "ingest_tickets", "--tenant", "tenant_demo_cca", "--wait"]).await,
    )
    .unwrap();
    assert_eq!((job["state"].as_str(), job["output"]["accepted"].as_i64()), (Some("completed"), Some(5)));
    let args =
        ["enqueue", "pipeline_daily", "--tenant", "tenant_demo_client2", "--date", "2026-01-20", "--wait"];
    assert!(cli.ok(&args).await.contains("generate_export"));
    let listed = cli.ok(&["jobs", "list", "--tenant", "tenant_demo_client2", "--state", "completed"]).await;
    assert_eq!(listed.lines().count(), 7, "{listed}");
    let shown = cli.ok(&["jobs", "show", job["id"].as_str().unwrap()]).await;
    assert!(shown.contains("\"ingest_tickets\""), "{shown}");
    drop(worker);
}

#[tokio::test]
async fn cancel_and_retry_by_hand() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let args = ["enqueue", "compute_kpi", "--tenant", "tenant_demo_cca", "--date", "2026-01-20"];
    let id = cli.ok(&args).await.trim().to_owned();
    assert!(cli.ok(&args).await.contains("already enqueued"));
    assert!(cli.ok(&["jobs", "cancel", &id]).await.contains("cancelled"));
    assert!(cli.ok(&["jobs", "retry", &id]).await.contains("available"));
    let refused = cli.refused(&["jobs", "retry", &id]).await;
    assert!(refused.contains("only a discarded or cancelled job"), "{refused}");
}

#[tokio::test]
async fn many_jobs_at_once() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    for tenant in ["tenant_demo_cca", "tenant_demo_client2"] {
        cli.ok(&["enqueue", "ingest_csat", "--tenant", tenant, "--run-at", "2100-01-01T00:00:00Z"]).await;
    }
    let bulk = |verb, more: &[&'static str]| [&["jobs", "bulk", verb], more].concat();
    assert_eq!(cli.ok(&bulk("cancel", &["--all", "--dry-run"])).await.trim(), "2 jobs would be cancelled");
    let worker = Process::start(&mut cli.command(&["worker"]));
    let cancel = bulk("cancel", &["--tenant", "tenant_demo_cca", "--state", "scheduled", "--wait"]);
    let job: Value = serde_json::from_str(&cli.out(&cancel).await).unwrap();
    assert_eq!((&job["kind"], &job["output"]["touched"]), (&"bulk_jobs".into(), &1.into()));
    drop(worker);
    let count = async |kind| cli.ok(&bulk("retry", &["--kind", kind, "--dry-run"])).await;
    assert_eq!(count("ingest_csat").await.trim(), "1 job would be retried");
    assert_eq!(count("compute_kpi").await.trim(), "0 jobs would be retried");
    let refused = cli.refused(&bulk("delete", &[])).await;
    assert!(refused.contains("no filter is given") && refused.contains("--all"), "{refused}");
    let refused = cli.refused(&bulk("retry", &["--state", "completed"])).await;
    assert!(refused.contains("retry is for discarded and cancelled"), "{refused}");
}

#[tokio::test]
async fn wrong_words_are_refused_with_what_to_do() {
    let cli = Cli::new().await;
    let said = cli.refused(&["enqueue", "ingest_csat", "--tenant", "nobody"]).await;
    assert!(said.contains("nobody") && said.contains("weirgate seed"), "{said}");
    cli.ok(&["seed"]).await;
    let said = cli.refused(&["enqueue", "compute", "--tenant", "tenant_demo_cca"]).await;
    assert!(said.contains("compute_kpi"), "the known kinds are named: {said}");
    let said = cli.refused(&["enqueue", "compute_kpi", "--tenant", "tenant_demo_cca"]).await;
    assert!(said.contains("date"), "{said}");
    assert!(cli.refused(&["jobs", "list", "--state", "done"]).await.contains("available"));
}

#[tokio::test]
async fn keys_come_and_go() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let key = cli.ok(&["keys", "create", "tenant_demo_cca", "--name", "n8n"]).await.trim().to_owned();
    assert!(key.starts_with("wg_"));
    cli.ok(&["keys", "revoke", &key]).await;
    assert!(cli.refused(&["keys", "revoke", &key]).await.contains("no valid key"));

    let create = ["keys", "create", "tenant_demo_cca", "--name", "auditor"];
    let key = cli.ok(&[&create[..], &["--expires-in", "90d"]].concat()).await;
    let listed = cli.ok(&["keys", "list", "tenant_demo_cca"]).await;
    let line = |name: &str| listed.lines().find(|line| line.contains(name)).expect(&listed).to_owned();
    assert!(line("n8n").contains("revoked"), "{listed}");
    let auditor = line("auditor");
    assert!(auditor.contains(&key[..11]) && auditor.contains("good"), "{listed}");
    assert_eq!(auditor.matches(" UTC").count(), 2, "made and expires: {auditor}");
    let whole = cli.ok(&["keys", "list"]).await;
    assert!(whole.contains("tenant_demo_client2") && !listed.contains("tenant_demo_client2"), "{whole}");
    let past = cli.refused(&[&create[..], &["--expires", "2020-01-01T00:00:00Z"]].concat()).await;
    assert!(past.contains("is in the past"), "{past}");
    for wrong in ["90", "d", "0d", "2w", "-1d", "99999999d"] {
        let said = cli.refused(&[&create[..], &[&format!("--expires-in={wrong}")]].concat()).await;
        assert!(said.contains("such as 90d"), "{wrong}: {said}");
    }
}

#[tokio::test]
async fn schedules_are_listed_paused_and_resumed() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let line = async || {
        let listed = cli.ok(&["schedules", "list"]).await;
        listed.lines().find(|line| line.contains("daily_pipeline")).expect(&listed).to_owned()
    };
    let (before, said) = (line().await, cli.ok(&["schedules", "pause", "daily_pipeline"]).await);
    assert!(before.contains("each tenant's") && before.contains("tenant_demo_"), "{before}");
    let paused = line().await;
    assert!(
        said.contains("paused") && paused.contains("paused") && !paused.contains("tenant_demo_"),
        "{paused}"
    );
    cli.ok(&["schedules", "resume", "daily_pipeline"]).await;
    assert_eq!(line().await, before);
    let said = cli.refused(&["schedules", "pause", "nightly"]).await;
    assert!(said.contains("nightly") && said.contains("daily_pipeline, prune, reconcile, rescue"), "{said}");
}

#[tokio::test]
async fn the_schema_goes_down_and_up_again() {
    let cli = Cli::new().await;
    assert!(!cli.ok(&["migrate", "status"]).await.contains("pending"));
    let asked = cli.refused(&["migrate", "down"]).await;
    assert!(asked.contains("deletes the data that came with them; add --yes"), "{asked}");
    assert!(cli.ok(&["migrate", "down", "--yes"]).await.contains("version"));
    assert!(cli.ok(&["migrate", "status"]).await.contains("pending"));
    let said = cli.refused(&["worker"]).await;
    assert!(said.contains("weirgate migrate up"), "{said}");
    for schema in ["msp", "identity", "queue"] {
        cli.ok(&["migrate", "down", "--schema", schema, "--to", "0", "--yes"]).await;
    }
    let left: i64 = sqlx::query_scalar(
        "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('queue', 'identity', 'msp') and c.relkind in ('r', 'v', 'S')
           and c.relname <> '_sqlx_migrations'",
    )
    .fetch_one(&cli.db.pool)
    .await
    .unwrap();
    assert_eq!(left, 0, "everything is undone");
    assert!(cli.ok(&["migrate", "up"]).await.contains("up to date"));
    assert!(!cli.ok(&["migrate", "status"]).await.contains("pending"));
    // The schema works again.
    let worker = TestWorker::start(&cli.db, &Probe::new(cli.db.pool.clone()));
    worker.stop().await;
}

#[tokio::test]
async fn help_and_completions_name_every_command() {
    let cli = Cli::new().await;
    let help = cli.ok(&["--help"]).await;
    for command in [
        "demo",
        "up",
        "serve",
        "worker",
        "migrate",
        "seed",
        "keys",
        "enqueue",
        "backfill",
        "backfills",
        "jobs",
        "rejects",
        "schedules",
        "queues",
        "limits",
        "mock-data",
    ] {
        assert!(help.contains(command), "{command}");
        assert!(cli.ok(&[command, "--help"]).await.contains("Example"), "{command} has an example");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(cli.ok(&["completions", shell]).await.contains("weirgate"));
    }
}

#[tokio::test]
async fn mock_data_goes_through_the_ingests() {
    let cli = Cli::new().await;
    let out = cli.home.path().join("generated");
    let out = out.to_str().unwrap();
    cli.ok(&["mock-data", "--out", out, "--tenants", "1", "--tickets", "50", "--bad-rows", "3"]).await;
    let said = cli.refused(&["mock-data", "--out", out]).await;
    assert!(said.contains("not empty") || said.contains("force"), "{said}");
    let with_data = async |args: &[&str]| {
        let mut command = cli.command(args);
        command.env("MOCK_DATA_PATH", out);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    assert!(with_data(&["seed"]).await.status.success());
    let mut worker = cli.command(&["worker"]);
    let worker = Process::start(worker.env("MOCK_DATA_PATH", out));
    let output = with_data(&["enqueue", "ingest_tickets", "--tenant", "tenant_demo_1", "--wait"]).await;
    let job: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((job["output"]["accepted"].as_i64(), job["output"]["rejected"].as_i64()), (Some(50), Some(3)));
    drop(worker);
}

#[tokio::test]
async fn queues_are_paused_and_limits_are_set() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    assert!(cli.ok(&["queues", "pause", "kpi"]).await.contains("paused"));
    let listed = cli.ok(&["queues", "list"]).await;
    let line = |listed: &str, queue: &str| {
        listed.lines().find(|it| it.trim_start().starts_with(queue)).expect(listed).to_owned()
    };
    assert!(
        line(&listed, "kpi").contains("paused") && !line(&listed, "ingest").contains("paused"),
        "{listed}"
    );
    assert!(cli.ok(&["queues", "resume", "kpi"]).await.contains("kpi is resumed"));
    assert!(!cli.ok(&["queues", "list"]).await.contains("paused"));
    assert!(cli.refused(&["queues", "pause", "nothing"]).await.contains("export, ingest, kpi, system"));
    let tenant = "tenant_demo_cca";
    let set = ["limits", "set", tenant, "ingest", "--rate", "20", "--period", "500ms", "--burst", "5"];
    let set = cli.ok(&[&set[..], &["--max-running", "3", "--weight", "2"]].concat()).await;
    for part in ["own", "20/500 ms", " 5 ", " 3 ", " 2 ", "now"] {
        assert!(line(&set, "ingest").contains(part), "{part}: {set}");
    }
    let shown = cli.ok(&["limits", "show", tenant]).await;
    assert_eq!(line(&shown, "ingest"), line(&set, "ingest"));
    assert!(line(&shown, "kpi").contains("default"));
    let cleared = cli.ok(&["limits", "clear", tenant, "ingest"]).await;
    assert!(line(&cleared, "ingest").contains("default"), "{cleared}");
    assert!(
        cli.refused(&["limits", "set", tenant, "ingest", "--rate", "0"]).await.contains("rate: expected")
    );
    assert!(cli.refused(&["limits", "set", tenant, "ingest", "--period", "1"]).await.contains("500ms"));
    assert!(cli.refused(&["limits", "set", tenant, "ingest"]).await.contains("at least one"));
    assert!(cli.refused(&["limits", "set", tenant, "nothing", "--rate", "1"]).await.contains("ingest"));
}

#[tokio::test]
async fn a_backfill_from_the_first_count_to_its_end() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let range = ["backfill", "compute_kpi", "--from", "2026-01-01", "--to", "2026-01-10"];
    let said = cli.ok(&[&range[..], &["--dry-run"]].concat()).await;
    assert!(said.contains("tenant_demo_cca\t10") && said.contains("total\t20"), "{said}");
    assert!(!cli.ok(&["backfills", "list"]).await.contains("compute_kpi"));
    let id = cli.ok(&[&range[..], &["--tenants", "tenant_demo_cca"]].concat()).await.trim().to_owned();
    assert!(cli.ok(&["backfills", "pause", &id]).await.contains("is paused"));
    assert!(cli.ok(&["backfills", "list"]).await.contains(&id));
    let worker = Process::start(&mut cli.command(&["worker"]));
    assert!(cli.ok(&["backfills", "resume", &id]).await.contains("is running"));
    // Not on a terminal: lines.
    let said = cli.ok(&["backfills", "show", &id, "--watch"]).await;
    assert!(said.lines().last().unwrap().contains("10/10 completed"), "{said}");
    let shown: Value = serde_json::from_str(&cli.ok(&["backfills", "show", &id]).await).unwrap();
    assert_eq!(
        (shown["counts"]["completed"].as_i64(), shown["spec"]["tenants"][0].as_str()),
        (Some(10), Some("tenant_demo_cca"))
    );
    assert!(cli.ok(&["backfills", "retry-failed", &id]).await.contains("it has no discarded jobs"));
    let said = cli.ok(&[&range[..], &["--watch"]].concat()).await;
    assert!(said.contains("20/20 completed"), "those that were missing: {said}");
    drop(worker);
    let next = cli.ok(&[&range[..], &["--reprocess", "all"]].concat()).await.trim().to_owned();
    assert!(cli.ok(&["backfills", "cancel", &next]).await.contains("is cancelling"));
    let said = cli.refused(&["backfills", "resume", &next]).await;
    assert!(said.contains("running or paused"), "{said}");
}

#[tokio::test]
async fn a_watched_backfill_goes_on_after_ctrl_c() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let mut command =
        cli.command(&["backfill", "compute_kpi", "--from", "2026-01-01", "--to", "2026-01-10", "--watch"]);
    let watching = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let row = "select count(*) from queue.backfills";
    while sqlx::query_scalar::<_, i64>(row).fetch_one(&cli.db.pool).await.unwrap() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    // It listens to the signal from its first look on.
    let mut watching = watching;
    let mut said = std::io::BufReader::new(watching.stdout.take().unwrap());
    let (said, id) = tokio::task::spawn_blocking(move || {
        let mut lines = String::new();
        while lines.lines().count() < 2 {
            std::io::BufRead::read_line(&mut said, &mut lines).unwrap();
        }
        let id = watching.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        std::io::Read::read_to_string(&mut said, &mut lines).unwrap();
        assert!(watching.wait().unwrap().success());
        let id = lines.lines().next().unwrap().to_owned();
        (lines, id)
    })
    .await
    .unwrap();
    assert!(said.contains(&format!("weirgate backfills show {id} --watch")), "{said}");
    assert!(cli.ok(&["backfills", "show", &id]).await.contains("\"running\""));
}

#[tokio::test]
async fn a_backfill_that_makes_no_sense_is_refused() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    for (args, hint) in [
        (&["ingest_tickets", "--from", "2026-01-01", "--to", "2026-01-10"][..], "backfill daily_pipeline"),
        (&["compute_kpi", "--from", "2026-01-11", "--to", "2026-01-10"], "is before"),
        (&["compute_kpi", "--from", "2026-01-01", "--to", "2026-01-10", "--share", "0"], "above 0"),
        (
            &["compute_kpi", "--from", "2026-01-01", "--to", "2026-01-10", "--tenants", "acme"],
            "no tenant \"acme\"",
        ),
    ] {
        let said = cli.refused(&[&["backfill"], args].concat()).await;
        assert!(said.contains(hint), "{said}");
    }
}

#[tokio::test]
async fn a_backfill_of_days_to_come_says_so() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let (from, to): (String, String) = sqlx::query_as(
        "select (now() - interval '9 days')::date::text, (now() + interval '9 days')::date::text",
    )
    .fetch_one(&cli.db.pool)
    .await
    .unwrap();
    let range = ["backfill", "compute_kpi", "--tenants", "tenant_demo_cca", "--from", &from, "--to", &to];
    for more in [&["--dry-run"][..], &[]] {
        let said = cli.ok(&[&range[..], more].concat()).await;
        // At midnight, another day may have begun since.
        assert!(said.contains("9 tenant-days are in the future") || said.contains("8 tenant-days"), "{said}");
    }
    let past = ["backfill", "compute_kpi", "--from", "2026-01-01", "--to", "2026-01-02", "--dry-run"];
    assert!(!cli.ok(&past).await.contains("future"));
}

#[tokio::test]
async fn a_time_zone_that_is_no_iana_name_is_refused_with_file_tenant_and_field() {
    let cli = Cli::new().await;
    let file = cli.home.path().join("tenants.json");
    let seed = async |zone: &str| {
        let tenant = |number: u32, slug: &str, zone: &str| {
            serde_json::json!({
                "id": uuid::Uuid::from_u128(number.into()), "slug": slug, "name": slug, "is_active": true,
                "llm_enabled": false, "time_zone": zone,
            })
        };
        let tenants = serde_json::json!([tenant(1, "acme", "Europe/Paris"), tenant(2, "bolt", zone)]);
        std::fs::write(&file, tenants.to_string()).unwrap();
        let mut command = cli.command(&["seed"]);
        command.env("MOCK_DATA_PATH", cli.home.path());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for (zone, hint) in [
        ("europe/berlin", "it is spelled \"Europe/Berlin\""),
        ("utc", "it is spelled \"UTC\""),
        ("UTC+3", "such as Europe/Berlin or UTC"),
        ("MSK", "such as"),
        ("CEST-2", "such as"),
        ("+03:00", "such as"),
        ("Europe/Berlin ", "such as"),
        ("posix/Europe/Berlin", "such as"),
        ("", "such as"),
    ] {
        let (ok, said) = seed(zone).await;
        let place = format!("{}: tenant bolt, time_zone: no IANA time zone {zone:?}", file.display());
        assert!(!ok && said.contains(&place) && said.contains(hint), "{zone}: {said}");
    }
    let stored: i64 =
        sqlx::query_scalar("select count(*) from identity.tenants").fetch_one(&cli.db.pool).await.unwrap();
    assert_eq!(stored, 0, "nothing of a file with a mistake is stored");
    let (ok, said) = seed("Etc/GMT+3").await;
    assert!(ok, "{said}");
}
