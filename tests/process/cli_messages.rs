//! What commands say: what was wrong, what was expected, what to do; how things stand.

use serde_json::{Value, json};

use super::cli::Cli;
use crate::support::{Process, weirgate};

const CCA: &str = "tenant_demo_cca";

#[tokio::test]
async fn wrong_values_are_answered_with_an_example() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let far = "9999-12-31";
    for (args, hints) in [
        (
            &["enqueue", "compute_kpi", "--tenant", CCA, "--date", "20.01.2026"][..],
            &["such as 2026-01-31"][..],
        ),
        (&["enqueue", "compute_kpi", "--tenant", CCA, "--date", "2026-02-30"], &["such as 2026-01-31"]),
        (&["demo", "--date", "yesterday"], &["such as 2026-01-31"]),
        (&["mock-data", "--out", "/x", "--until", "tomorrow"], &["such as 2026-01-31"]),
        (&["enqueue", "compute_kpi", "--tenant", CCA, "--date", far], &[far, "in the future", "--yes"]),
        (
            &["enqueue", "ingest_csat", "--tenant", CCA, "--run-at", "tomorrow"],
            &["such as 2026-01-31T08:00:00Z"],
        ),
        (
            &["enqueue", "ingest_csat", "--tenant", CCA, "--run-at", "9999-01-01T00:00:00Z"],
            &["100 years", "--yes"],
        ),
        (&["enqueue", "ingest_csat", "--tenant", CCA, "--date", "2026-01-20"], &["--date", "takes no date"]),
        (
            &["enqueue", "ingest_csat", "--tenant", CCA, "--arg", "format=csv"],
            &["--arg format", "no such argument"],
        ),
        (&["enqueue", "compute_kpi", "--tenant", CCA], &["needs a date, such as --date"]),
        (&["enqueue", "daily_pipeline", "--tenant", CCA], &["needs a date, such as --date"]),
        (
            &["enqueue", "daily_pipeline", "--tenant", CCA, "--date", "2026-01-20", "--arg", "format=csv"],
            &["--arg format", "no such argument"],
        ),
        (&["jobs", "list", "--created-after", "2026-01-31"], &["such as 2026-01-31T08:00:00Z"]),
        (&["jobs", "list", "--tenant", "nobody"], &["weirgate tenants list"]),
        (&["limits", "set", CCA, "ingest", "--rate", "-5"], &["rate: expected"]),
        (&["limits", "set", CCA, "ingest", "--weight", "-1"], &["weight: expected"]),
        (&["limits", "set", CCA, "ingest", "--rate", "many"], &["--rate", "such as 20"]),
        (&["limits", "set", CCA, "ingest", "--rate", "5", "--period", "-1s"], &["such as 500ms"]),
        (&["backfill", "compute_kpi", "--from", "2026-01-01", "--to", far], &["over a year away", "--yes"]),
        (&["backfill", "compute_kpi", "--from", "1.1.2026", "--to", "2026-01-02"], &["such as 2026-01-31"]),
        (&["schedules", "set", "daily_pipeline"], &["--cron", "--missed-limit"]),
        (&["schedules", "set", "daily_pipeline", "--cron", "0 99 * * * *"], &["--cron", "minute"]),
        (&["schedules", "set", "daily_pipeline", "--time-zone", "MSK"], &["--time-zone", "MSK"]),
        (&["schedules", "run", "prune"], &["cannot be run now"]),
        (&["tenants", "create", "a b"], &["such as acme_emea"]),
        (&["tenants", "create", "acme", "--time-zone", "UTC+3"], &["--time-zone", "Europe/Berlin"]),
        (&["tenants", "create", CCA], &["already", "weirgate tenants set"]),
        (&["tenants", "set", CCA], &["at least one of --name"]),
        (&["tenants", "set", CCA, "--name", " "], &["--name is blank"]),
    ] {
        let said = cli.refused(args).await;
        for hint in hints {
            assert!(said.contains(hint), "{args:?}: {hint} is missing in: {said}");
        }
    }
    let args = ["enqueue", "compute_kpi", "--tenant", CCA, "--date", far, "--yes"];
    assert_eq!(cli.ok(&args).await.trim().len(), 36);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_told_with_what_to_do() {
    let cli = Cli::new().await;
    let with_url = async |url: &str, args: &[&str]| {
        let mut command = cli.command(args);
        command.env("DATABASE_URL", url);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = with_url("postgres://u:hunter2@127.0.0.1:1/x", &["jobs", "list"]).await;
    assert!(said.contains("the connection was refused") && said.contains("Is Postgres running"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("timed out"), "{said}");

    let mut wrong = url::Url::parse(&cli.db.url).unwrap();
    wrong.set_password(Some("wrong")).unwrap();
    let said = with_url(wrong.as_str(), &["jobs", "list"]).await;
    assert_eq!(said.matches("password authentication failed").count(), 1, "{said}");

    cli.ok(&["migrate", "down", "--schema", "msp", "--to", "0", "--yes"]).await;
    for args in [
        &["jobs", "list"][..],
        &["tenants", "list"],
        &["users", "list"],
        &["schedules", "list"],
        &["failures"],
    ] {
        assert!(cli.refused(args).await.contains("run `weirgate migrate up`"), "{args:?}");
    }
}

#[tokio::test]
async fn who_may_not_make_roles_is_told_the_commands_that_help() {
    let cli = Cli::new().await;
    let name = format!("plain_{}", uuid::Uuid::now_v7().simple());
    for sql in
        [format!("create role {name} login password 'plain'"), format!("create database {name} owner {name}")]
    {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&cli.db.pool).await.unwrap();
    }
    let mut url = url::Url::parse(&cli.db.url).unwrap();
    url.set_username(&name).unwrap();
    url.set_password(Some("plain")).unwrap();
    url.set_path(&name);
    let mut command = cli.command(&["migrate", "up"]);
    command.env("DATABASE_URL", url.as_str());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    // They help. On this server the roles are there already, so that none is to be made.
    let commands: Vec<&str> = said.lines().map(str::trim).filter(|line| line.ends_with(';')).collect();
    let expected = ["weirgate_tenant", "weirgate_desk", "weirgate_super"];
    assert_eq!(commands, expected.map(|role| format!("grant {role} to {name};")), "{said}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(commands.concat())).execute(&cli.db.pool).await.unwrap();
    let mut command = cli.command(&["migrate", "up"]);
    command.env("DATABASE_URL", url.as_str());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for sql in [format!("drop database {name} with (force)"), format!("drop role {name}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&cli.db.pool).await.unwrap();
    }
}

#[test]
fn a_home_that_is_not_there_is_not_made_by_a_command_that_looks() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["jobs", "list"][..],
        &["tenants", "list"],
        &["enqueue", "ingest_csat", "--tenant", CCA],
        &["users", "create", "ada@example.com"],
        &["worker"],
    ] {
        let output = weirgate(args, folder.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains("does not exist") && said.contains("mkdir -p"),
            "{said}"
        );
        assert!(!folder.path().join("home").exists(), "{args:?}");
    }
}

#[test]
fn a_line_of_the_settings_file_is_named_by_its_number_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "# ours\nMOCK_MODE=true\nSERVICE_TOKEN=hunter2 hunter3\n")
        .unwrap();
    let output = weirgate(&["jobs", "list"], folder.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(".env, line 3: expected NAME=value") && !said.contains("hunter"), "{said}");
}

#[tokio::test]
async fn tenants_are_made_changed_and_listed() {
    let cli = Cli::new().await;
    let made =
        cli.ok(&["tenants", "create", "acme", "--name", "Acme Ltd", "--time-zone", "Europe/London"]).await;
    assert!(made.starts_with("acme\t"), "{made}");
    let line = async || {
        let listed = cli.ok(&["tenants", "list"]).await;
        listed.lines().find(|line| line.contains("acme")).expect(&listed).to_owned()
    };
    assert!(line().await.contains("Europe/London") && line().await.contains("Acme Ltd"));
    cli.ok(&["tenants", "set", "acme", "--active", "false", "--time-zone", "America/New_York"]).await;
    let changed = line().await;
    assert!(
        changed.contains("inactive") && changed.contains("America/New_York") && changed.contains("Acme Ltd")
    );
    assert!(cli.ok(&["tenants", "set", "acme", "--active", "false"]).await.contains("is unchanged"));
    let said = cli.refused(&["enqueue", "ingest_csat", "--tenant", "acme"]).await;
    assert!(said.contains("weirgate tenants set acme --active true"), "{said}");
    let listed: Value = serde_json::from_str(cli.ok(&["tenants", "list", "--json"]).await.trim()).unwrap();
    assert_eq!((&listed["slug"], &listed["is_active"]), (&"acme".into(), &false.into()));
    let told: Vec<(String, Value)> =
        sqlx::query_as("select action, detail from identity.audit where via = 'cli' order by id")
            .fetch_all(&cli.db.pool)
            .await
            .unwrap();
    let actions: Vec<_> = told.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["tenant.create", "tenant.change", "tenant.change"]);
    assert_eq!(told[0].1["before"], Value::Null);
    let expected = |zone: &str, active: bool| json!({ "time_zone": zone, "is_active": active });
    assert_eq!(told[1].1["before"], expected("Europe/London", true));
    assert_eq!(told[1].1["after"], expected("America/New_York", false));
    assert_eq!(told[2].1["before"], json!({ "is_active": false }), "it changes nothing, and says so");
    assert_eq!(told[2].1["after"], told[2].1["before"]);
}

#[tokio::test]
async fn schedules_are_run_and_set() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    assert_eq!(cli.ok(&["schedules", "run", "daily_pipeline"]).await.lines().count(), 2);
    let one = cli.ok(&["schedules", "run", "daily_pipeline", "--tenant", CCA]).await;
    assert!(cli.ok(&["jobs", "show", one.trim()]).await.contains("generate_export"));
    let set = ["schedules", "set", "daily_pipeline", "--cron", "30 1 * * *", "--time-zone", "Europe/Berlin"];
    let said = cli.ok(&[&set[..], &["--missed", "all", "--missed-limit", "7"]].concat()).await;
    assert!(said.contains("Europe/Berlin") && said.contains("30 1 * * *"), "{said}");
    assert!(
        cli.ok(&["schedules", "set", "daily_pipeline", "--time-zone", "each"])
            .await
            .contains("each tenant's")
    );
    let told: Vec<(String, Value)> = sqlx::query_as(
        "select action, detail from identity.audit where target = 'daily_pipeline' order by id",
    )
    .fetch_all(&cli.db.pool)
    .await
    .unwrap();
    let actions: Vec<_> = told.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["schedule.run", "schedule.run", "schedule.change", "schedule.change"]);
    let after = &told[2].1["after"];
    assert_eq!((&after["missed"], &after["missed_limit"]), (&"all".into(), &7.into()));
    assert_eq!(told[3].1["before"], json!({ "time_zone": "Europe/Berlin" }));
    assert_eq!(told[3].1["after"], json!({ "time_zone": null }));
}

#[tokio::test]
async fn the_daily_pipeline_has_one_name() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let day = ["--tenant", CCA, "--date", "2026-01-20"];
    let id = cli.ok(&[&["enqueue", "daily_pipeline"], &day[..]].concat()).await;
    // By its older name it is the same.
    let again = cli.ok(&[&["enqueue", "pipeline_daily"], &day[..]].concat()).await;
    assert!(again.starts_with(id.trim()) && again.contains("already enqueued"), "{again}");
    let range = ["--from", "2026-01-01", "--to", "2026-01-02"];
    for name in ["daily_pipeline", "pipeline"] {
        cli.ok(&[&["backfill", name], &range[..]].concat()).await;
    }
    let listed = cli.ok(&["backfills", "list"]).await;
    assert_eq!(listed.matches("daily_pipeline").count(), 2, "{listed}");
    assert!(cli.ok(&["schedules", "list"]).await.contains("daily_pipeline"));
}

#[tokio::test]
async fn jobs_are_found_by_every_filter_and_shown_with_their_tenant_and_why_they_wait() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let kpi = ["enqueue", "compute_kpi", "--tenant", CCA, "--date", "2026-01-20"];
    let kpi = cli.ok(&kpi).await.trim().to_owned();
    cli.ok(&["enqueue", "ingest_csat", "--tenant", "tenant_demo_client2"]).await;
    let pipeline = cli.ok(&["enqueue", "daily_pipeline", "--tenant", CCA, "--date", "2026-01-19"]).await;
    let last: Value = serde_json::from_str(&cli.out(&["jobs", "show", pipeline.trim()]).await).unwrap();
    assert_eq!(last["tenant"], CCA);
    assert_eq!(last["why_not_running"]["code"], "waiting_on_jobs");
    let workflow = last["workflow_id"].as_str().unwrap();
    for (filter, jobs) in [
        (&[][..], 8),
        (&["--tenant", "tenant_demo_client2"], 1),
        (&["--kind", "compute_kpi"], 2),
        (&["--queue", "kpi"], 2),
        (&["--state", "waiting"], 2),
        (&["--workflow", workflow], 6),
        (&["--arg", "date=2026-01-20"], 1),
        (&["--date", "2026-01-19"], 6),
        (&["--date", "2026-01-19", "--tenant", CCA, "--kind", "ingest_csat"], 1),
        (&["--arg", "tenant=tenant_demo_client2"], 1),
        (&["--q", "2026-01-19"], 2),
        (&["--created-before", "2000-01-01T00:00:00Z"], 0),
        (&["--created-after", "2000-01-01T00:00:00Z"], 8),
        (&["--failure", "1"], 0),
        (&["--backfill", "00000000-0000-0000-0000-000000000000"], 0),
    ] {
        let listed = cli.ok(&[&["jobs", "list"], filter].concat()).await;
        assert_eq!(listed.lines().count(), jobs + 1, "{filter:?}: {listed}");
    }
    let listed = cli.ok(&["jobs", "list", "--kind", "ingest_csat"]).await;
    assert!(
        listed.lines().next().unwrap().contains("TENANT") && listed.contains("tenant_demo_client2"),
        "{listed}"
    );
    let shown: Value = serde_json::from_str(&cli.out(&["jobs", "show", &kpi]).await).unwrap();
    assert_eq!(shown["why_not_running"]["code"], "no_live_worker");
}

#[tokio::test]
async fn failures_are_listed_with_the_number_that_finds_their_jobs() {
    let cli = Cli::new().await;
    assert!(cli.ok(&["failures"]).await.contains("no failed jobs"));
    cli.ok(&["tenants", "create", "acme"]).await;
    let broken = cli.home.path().join("broken");
    // A folder where a file should be.
    std::fs::create_dir_all(broken.join("acme/tickets.jsonl")).unwrap();
    let mut worker = cli.command(&["worker"]);
    let worker = Process::start(worker.env("MOCK_DATA_PATH", &broken));
    cli.ok(&["enqueue", "ingest_tickets", "--tenant", "acme"]).await;
    let mut listed = String::new();
    for _ in 0..300 {
        listed = cli.ok(&["failures"]).await;
        if listed.contains("ingest_tickets") {
            break;
        }
    }
    drop(worker);
    let failure = listed.lines().find(|line| line.contains("ingest_tickets")).expect(&listed);
    let number = failure.split_whitespace().next().unwrap();
    let jobs = cli.ok(&["jobs", "list", "--failure", number]).await;
    assert!(jobs.contains("ingest_tickets") && jobs.contains("acme"), "{jobs}");
    let said = cli.ok(&["jobs", "bulk", "cancel", "--failure", number, "--dry-run"]).await;
    assert_eq!(said.trim(), "1 job would be cancelled");
}

/// Subcommands, as the help of a command lists them.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let listed = listed.take_while(|line| !line.trim().is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[tokio::test]
async fn the_help_of_every_command_has_an_example_that_begins_with_it() {
    let cli = Cli::new().await;
    let mut left = vec![Vec::<String>::new()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = cli.ok(&words).await;
        if !path.is_empty() {
            let example = format!("weirgate {}", path.join(" "));
            let examples = help.split("Example").nth(1).unwrap_or_else(|| panic!("{path:?}: {help}"));
            assert!(examples.contains(&example), "{path:?}: {help}");
        }
        seen += 1;
        left.extend(subcommands(&help).into_iter().map(|name| [&path[..], &[name]].concat()));
    }
    assert!(seen > 45, "{seen}");
}

#[tokio::test]
async fn workflows_are_listed_shown_retried_and_cancelled() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    let day = |date| ["enqueue", "daily_pipeline", "--tenant", CCA, "--date", date];
    let last = cli.out(&day("2026-01-19")).await.trim().to_owned();
    cli.ok(&day("2026-01-20")).await;
    let last: Value = serde_json::from_str(&cli.out(&["jobs", "show", &last]).await).unwrap();
    assert_eq!(last["date"], "2026-01-19");
    assert!(last["why_not_running"]["message"].as_str().unwrap().contains("waits for compute_kpi"), "{last}");
    let id = last["workflow_id"].as_str().unwrap();
    for (filter, found) in [
        (&[][..], 2),
        (&["--date", "2026-01-19"], 1),
        (&["--tenant", CCA, "--name", "daily_pipeline", "--state", "waiting,running"], 2),
        (&["--name", "pipeline", "--limit", "1"], 1),
        (&["--tenant", "tenant_demo_client2"], 0),
        (&["--state", "failed"], 0),
    ] {
        let said = cli.out(&[&["workflows", "list"], filter].concat()).await;
        assert_eq!(said.matches("daily_pipeline").count(), found, "{filter:?}: {said}");
    }
    assert!(cli.refused(&["workflows", "list", "--state", "over"]).await.contains("expected waiting"));
    let shown: Value = serde_json::from_str(&cli.out(&["workflows", "show", id]).await).unwrap();
    assert_eq!(shown["title"], "daily pipeline, tenant_demo_cca, 2026-01-19");
    assert_eq!((&shown["state"], shown["jobs"].as_array().unwrap().len()), (&"waiting".into(), 6));
    assert!(cli.refused(&["workflows", "retry-failed", id]).await.contains("has failed"));
    sqlx::query("update queue.jobs set state = 'discarded', finalized_at = queue.now() where kind = 'ingest_csat' and subject = '2026-01-19'")
        .execute(&cli.db.pool)
        .await
        .unwrap();
    assert!(cli.ok(&["workflows", "retry-failed", id]).await.contains("1 job will run again"));
    assert!(cli.ok(&["workflows", "cancel", id]).await.contains("6 jobs of"));
    let job: Value =
        serde_json::from_str(&cli.out(&["jobs", "show", last["id"].as_str().unwrap()]).await).unwrap();
    assert_eq!(job["why_cancelled"]["code"], "workflow_cancelled");
    assert!(job["why_cancelled"]["message"].as_str().unwrap().ends_with("(cli)"), "{job}");
    let unknown = uuid::Uuid::nil().to_string();
    for verb in ["show", "retry-failed", "cancel"] {
        assert!(cli.refused(&["workflows", verb, &unknown]).await.contains("no workflow"), "{verb}");
    }
    let told: Vec<String> =
        sqlx::query_scalar("select action from identity.audit where target = $1 order by id")
            .bind(id)
            .fetch_all(&cli.db.pool)
            .await
            .unwrap();
    assert_eq!(told, ["workflow.retry_failed", "workflow.cancel"]);
}
