//! What commands leave in the audit, and `weirgate audit`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use clap::CommandFactory;
use serde_json::{Value, json};

use super::cli::Cli;

/// Commands that change nothing of a service, and why they need no entry.
const EXCEPTIONS: [(&str, &str); 33] = [
    ("audit", "looks"),
    ("backfills list", "looks"),
    ("backfills show", "looks"),
    ("bench", "works in a database of its own"),
    ("bench-server", "works in a database of its own"),
    ("bench-worker", "works in a database of its own"),
    ("clients list", "looks"),
    ("completions", "needs no database"),
    ("demo", "does with a database of its own what a client would"),
    ("failures", "looks"),
    ("identity keys list", "looks"),
    ("jobs list", "looks"),
    ("jobs show", "looks"),
    ("keys list", "looks"),
    ("keys scopes", "looks"),
    ("limits show", "looks"),
    ("migrate adopt", "is tested apart, as it takes an old database"),
    ("migrate down", "is tested apart, as it takes the table away"),
    ("migrate status", "looks"),
    ("migrate up", "is tested apart, as there is nothing to do here"),
    ("mock-data", "needs no database"),
    ("queues list", "looks"),
    ("rejects", "looks"),
    ("schedules list", "looks"),
    ("serve", "is a server: those who call it act"),
    ("tenants list", "looks"),
    ("tenants show", "looks"),
    ("up", "is a server; its first user and its migrations are noted as those of commands are"),
    ("users list", "looks"),
    ("users roles", "looks"),
    ("workflows list", "looks"),
    ("workflows show", "looks"),
    ("worker", "is a server: it does what others have asked for"),
];

/// The names of all commands that have none below them.
fn leaves(command: &clap::Command, path: &str, into: &mut BTreeSet<String>) {
    for below in command.get_subcommands().filter(|it| it.get_name() != "help") {
        let path = format!("{path} {}", below.get_name());
        if below.has_subcommands() {
            leaves(below, &path, into);
        } else {
            into.insert(path.trim().to_owned());
        }
    }
}

/// This account at this host, as the audit names it.
fn account() -> String {
    let said = |program: &str, args: &[&str]| {
        let out = Command::new(program).args(args).output().unwrap().stdout;
        String::from_utf8(out).unwrap().trim().to_owned()
    };
    format!("{}@{}", said("id", &["-un"]), said("uname", &["-n"]))
}

async fn newest(cli: &Cli, since: i64) -> Vec<(i64, String, String, Value)> {
    sqlx::query_as(
        "select id, actor, action, detail from identity.audit where via = 'cli' and id > $1 order by id",
    )
    .bind(since)
    .fetch_all(&cli.db.pool)
    .await
    .unwrap()
}

/// Runs commands and keeps what each left.
struct Noted<'a> {
    cli: &'a Cli,
    last: i64,
    commands: BTreeSet<String>,
}

impl Noted<'_> {
    /// What it said. Its entries are of `actions`; of the last one, both sides are as expected.
    async fn run(&mut self, args: &[&str], actions: &str, before: Value, after: Value) -> String {
        let said = self.cli.ok(args).await;
        let names: Vec<&str> = args.iter().copied().take_while(|arg| !arg.starts_with('-')).collect();
        let mut all = BTreeSet::new();
        leaves(&weirgate::cli::Cli::command(), "", &mut all);
        let command =
            (1..=names.len()).rev().map(|count| names[..count].join(" ")).find(|it| all.contains(it));
        self.commands.insert(command.unwrap_or_else(|| panic!("{args:?} is no command")));
        let entries = newest(self.cli, self.last).await;
        let told: Vec<&str> = entries.iter().map(|(_, _, action, _)| action.as_str()).collect();
        assert_eq!(told, actions.split_whitespace().collect::<Vec<_>>(), "{args:?}");
        let account = account();
        assert!(entries.iter().all(|(_, actor, ..)| *actor == account), "{entries:?} by {account}");
        if let Some((id, _, _, detail)) = entries.last() {
            self.last = *id;
            for (side, expected) in [("before", before), ("after", after)] {
                let told = &detail[side];
                let fits = match &expected {
                    Value::Object(members) => members.iter().all(|(name, value)| told[name] == *value),
                    other => told == other,
                };
                assert!(fits, "{args:?}: {side} {expected} in {detail}");
            }
        }
        said.trim().to_owned()
    }
}

/// Accounts and their roles. Says what printed the last password.
async fn accounts(noted: &mut Noted<'_>) -> String {
    let none = || Value::Null;
    let disabled = |is: bool| json!({ "disabled": is });
    let platform = |role: &str| json!({ "platform": role });
    let user = ["users", "create", "ada@example.com"];
    let made = json!({ "platform": "viewer", "disabled": false, "has_password": true });
    noted.run(&user, "account.create", none(), made).await;
    let role = ["users", "role", "ada@example.com", "operator"];
    noted.run(&role, "account.grant", platform("viewer"), platform("operator")).await;
    let reader = ["users", "grant", "ada@example.com", "--role", "reader", "--app", "msp"];
    let reader = [&reader[..], &["--tenant", "acme"]].concat();
    let of_acme = |role: Value| json!({ "msp acme": role });
    noted.run(&reader, "account.grant", json!({}), of_acme("reader".into())).await;
    let place = ["--app", "msp", "--tenant", "acme"];
    let withdraw = [&["users", "withdraw", "ada@example.com"][..], &place].concat();
    noted.run(&withdraw, "account.withdraw", of_acme("reader".into()), json!({})).await;
    let invite = ["users", "invite", "grace@example.com", "--role", "viewer"];
    let invited = json!({ "platform": "viewer", "has_password": false });
    let link = noted.run(&invite, "account.invite", none(), invited).await;
    assert!(link.contains("/account/invitation?token="), "{link}");
    let disable = ["users", "disable", "ada@example.com"];
    noted.run(&disable, "account.disable", disabled(false), disabled(true)).await;
    noted.run(&disable, "account.disable", disabled(true), disabled(true)).await;
    let enable = ["users", "enable", "ada@example.com"];
    noted.run(&enable, "account.enable", disabled(true), disabled(false)).await;
    let out = ["users", "sign-out", "ada@example.com"];
    noted.run(&out, "account.sign_out", disabled(false), disabled(false)).await;
    noted.run(&disable, "account.disable", disabled(false), disabled(true)).await;
    let password = ["users", "password", "ada@example.com"];
    noted.run(&password, "account.password", disabled(true), disabled(false)).await
}

/// Apps that people sign in to.
async fn apps(noted: &mut Noted<'_>) {
    let create = ["clients", "create", "desk", "--name", "Desk", "--redirect-uri", "https://desk.example/in"];
    let made = json!({ "name": "Desk", "redirect_uris": ["https://desk.example/in"], "disabled": false });
    noted.run(&create, "client.create", Value::Null, made).await;
    let disabled = |is: bool| json!({ "disabled": is });
    for (verb, action, is) in [("disable", "client.disable", true), ("enable", "client.enable", false)] {
        noted.run(&["clients", verb, "desk"], action, disabled(!is), disabled(is)).await;
    }
}

#[tokio::test]
async fn what_commands_change_is_in_the_audit_with_the_account_that_ran_them_and_what_it_was_before() {
    let cli = Cli::new().await;
    let mut noted = Noted { cli: &cli, last: 0, commands: BTreeSet::new() };
    let none = || Value::Null;
    let paused = |paused: bool| json!({ "paused": paused });
    let enabled = |enabled: bool| json!({ "enabled": enabled });
    let state = |state: &str| json!({ "state": state });
    let created = "tenant.create key.create tenant.create key.create";
    noted.run(&["seed"], created, none(), json!({ "name": "seed", "is_active": true })).await;
    noted.run(&["seed"], "", none(), none()).await;
    let fresh = "key.revoke key.create key.revoke key.create";
    noted.run(&["seed", "--fresh-keys"], fresh, none(), json!({ "name": "seed" })).await;

    let new = json!({ "slug": "acme", "is_active": true, "time_zone": "UTC" });
    noted.run(&["tenants", "create", "acme", "--time-zone", "UTC"], "tenant.create", none(), new).await;
    let off = ["tenants", "set", "acme", "--active", "false"];
    let active = |is: bool| json!({ "is_active": is });
    noted.run(&off, "tenant.change", active(true), active(false)).await;
    assert!(noted.run(&off, "tenant.change", active(false), active(false)).await.contains("is unchanged"));

    let made = json!({ "tenant": "tenant_demo_cca", "name": "cli", "is_active": true, "expires_at": null });
    let key = noted.run(&["keys", "create", "tenant_demo_cca"], "key.create", none(), made).await;
    noted.run(&["keys", "revoke", &key], "key.revoke", active(true), active(false)).await;

    let said = accounts(&mut noted).await;
    apps(&mut noted).await;
    cli.refused(&["users", "disable", "eve@example.com"]).await;

    noted.run(&["queues", "pause", "kpi"], "queue.pause", paused(false), paused(true)).await;
    noted.run(&["queues", "pause", "kpi"], "queue.pause", paused(true), paused(true)).await;
    noted.run(&["queues", "resume", "kpi"], "queue.resume", paused(true), paused(false)).await;
    let limits = |limits: Value| json!({ "limits": limits });
    let three = || json!({ "max_running": 3, "weight": 1.0 });
    let set = ["limits", "set", "tenant_demo_cca", "kpi", "--max-running", "3"];
    noted.run(&set, "lane.limits", limits(none()), limits(three())).await;
    let clear = ["limits", "clear", "tenant_demo_cca", "kpi"];
    noted.run(&clear, "lane.limits", limits(three()), limits(none())).await;

    noted.run(&["schedules", "pause", "daily_pipeline"], "schedule.off", enabled(true), enabled(false)).await;
    noted.run(&["schedules", "resume", "daily_pipeline"], "schedule.on", enabled(false), enabled(true)).await;
    let zone = ["schedules", "set", "daily_pipeline", "--time-zone", "Europe/Berlin"];
    let zones = [none(), json!("Europe/Berlin")].map(|zone| json!({ "time_zone": zone }));
    let [each, berlin] = zones;
    noted.run(&zone, "schedule.change", each, berlin).await;
    let run = ["schedules", "run", "daily_pipeline", "--tenant", "tenant_demo_cca"];
    noted.run(&run, "schedule.run", none(), json!({ "enqueued": 1 })).await;

    let kind = json!({ "kind": "ingest_csat" });
    let enqueue = ["enqueue", "ingest_csat", "--tenant", "tenant_demo_client2"];
    let job = noted.run(&enqueue, "job.enqueue", none(), kind.clone()).await;
    // It is on its way already: nothing came of it.
    noted.run(&enqueue, "job.enqueue", kind.clone(), kind).await;
    noted.run(&["jobs", "cancel", &job], "job.cancel", state("available"), state("cancelled")).await;
    noted.run(&["jobs", "retry", &job], "job.retry", state("cancelled"), state("available")).await;
    noted.run(&["jobs", "bulk", "cancel", "--all"], "jobs.cancel", none(), json!({})).await;
    let daily = ["enqueue", "daily_pipeline", "--tenant", "tenant_demo_client2", "--date", "2026-01-20"];
    noted.run(&daily, "job.enqueue", none(), json!({ "kind": "daily_pipeline" })).await;
    let failed = "update queue.jobs set state = 'discarded', finalized_at = queue.now()
        where name = 'csat' and state = 'available' returning workflow_id";
    let workflow: uuid::Uuid = sqlx::query_scalar(failed).fetch_one(&cli.db.pool).await.unwrap();
    let workflow = workflow.to_string();
    let failed = |count: u32| json!({ "failed_jobs": count });
    noted.run(&["workflows", "retry-failed", &workflow], "workflow.retry_failed", failed(1), failed(0)).await;
    let open = |count: u32| json!({ "open_jobs": count });
    noted.run(&["workflows", "cancel", &workflow], "workflow.cancel", open(6), open(0)).await;
    let range = ["--from", "2026-01-20", "--to", "2026-01-21", "--reprocess", "all"];
    let backfill = [&["backfill", "compute_kpi"], &range[..]].concat();
    let id = noted.run(&backfill, "backfill.create", none(), json!({ "kind": "compute_kpi" })).await;
    for (verb, action, before, after) in [
        ("pause", "backfill.pause", "running", "paused"),
        ("resume", "backfill.resume", "paused", "running"),
        ("retry-failed", "backfill.retry_failed", "running", "running"),
        ("cancel", "backfill.cancel", "running", "cancelling"),
    ] {
        noted.run(&["backfills", verb, &id], action, state(before), state(after)).await;
    }
    keys_of_the_service(&mut noted).await;
    noted.run(&["migrate", "rebase"], "queue.rebase", none(), none()).await;

    let mut all = BTreeSet::new();
    leaves(&weirgate::cli::Cli::command(), "", &mut all);
    let exceptions: BTreeMap<&str, &str> = EXCEPTIONS.into();
    noted.commands.extend(exceptions.keys().map(|&name| name.to_owned()));
    assert_eq!(noted.commands, all, "a new command leaves an entry here, or says why not");

    let password = said.split_once("password ").unwrap().1.split_whitespace().next().unwrap();
    for secret in [key.as_str(), password] {
        let told: i64 = sqlx::query_scalar(
            "select count(*) from identity.audit where detail::text like '%' || $1 || '%'",
        )
        .bind(secret)
        .fetch_one(&cli.db.pool)
        .await
        .unwrap();
        assert_eq!(told, 0);
    }
}

async fn keys_of_the_service(noted: &mut Noted<'_>) {
    let rotate = ["identity", "keys", "rotate"];
    let said = noted.run(&rotate, "signing_key.rotate", json!({ "signing": null }), json!({})).await;
    let key = said.split_whitespace().next().unwrap();
    let revoke = ["identity", "keys", "revoke", key];
    let [signing, revoked] = ["signing", "revoked"].map(|state| json!({ "state": state }));
    noted.run(&revoke, "signing_key.revoke", signing, revoked).await;
    assert!(noted.cli.refused(&revoke).await.contains("identity keys list"));
    noted.run(&["identity", "reseal"], "secrets.reseal", json!({}), json!({})).await;
}

#[tokio::test]
async fn who_uses_sudo_is_told_with_the_account() {
    let cli = Cli::new().await;
    let mut command = cli.command(&["queues", "pause", "kpi"]);
    command.env("SUDO_USER", "grace");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (account, host) =
        account().split_once('@').map(|(it, host)| (it.to_owned(), host.to_owned())).unwrap();
    let entries = newest(&cli, 0).await;
    assert_eq!(entries[0].1, format!("grace (as {account})@{host}"));
}

#[tokio::test]
async fn migrations_are_noted_while_there_is_a_table_for_it() {
    let cli = Cli::new().await;
    cli.ok(&["migrate", "down", "--yes"]).await;
    let entries = newest(&cli, 0).await;
    let (_, actor, action, detail) = entries.last().unwrap();
    assert_eq!((actor.as_str(), action.as_str()), (account().as_str(), "schema.down"));
    let (newest_version, below) = (&detail["before"]["version"], &detail["after"]["version"]);
    assert!(newest_version.as_i64() > below.as_i64(), "{detail}");
    cli.ok(&["migrate", "up"]).await;
    cli.ok(&["migrate", "up"]).await;
    let after = newest(&cli, entries.last().unwrap().0).await;
    assert_eq!(after.len(), 1, "the second one has nothing to do");
    assert_eq!(after[0].2, "schema.up");
    assert_eq!((&after[0].3["before"]["version"], &after[0].3["after"]["version"]), (below, newest_version));
    // The table itself goes, and comes back.
    cli.ok(&["migrate", "down", "--schema", "identity", "--to", "3", "--yes"]).await;
    cli.ok(&["migrate", "down", "--schema", "identity", "--yes"]).await;
    cli.ok(&["migrate", "up"]).await;
    assert_eq!(newest(&cli, 0).await.len(), 1);
}

#[tokio::test]
async fn the_audit_is_read_by_command() {
    let cli = Cli::new().await;
    cli.ok(&["seed"]).await;
    cli.ok(&["queues", "pause", "kpi"]).await;
    cli.ok(&["queues", "pause", "kpi"]).await;
    let line = async |args: &[&str]| cli.out(&[&["audit"], args].concat()).await;
    let table = line(&["--action", "queue"]).await;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[1].contains(&account()) && lines[1].contains("unchanged"), "the newest first: {table}");
    assert!(lines[2].contains(r#"{"paused":false}"#) && lines[2].contains(r#"{"paused":true}"#), "{table}");
    let entries = async |args: &[&str]| -> Vec<Value> {
        let text = line(&[args, &["--json"]].concat()).await;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let actions = async |args: &[&str]| -> Vec<String> {
        entries(args).await.iter().map(|it| it["action"].as_str().unwrap().to_owned()).collect()
    };
    let newest = &entries(&["--target", "kpi", "--limit", "1"]).await[0];
    assert_eq!((&newest["via"], &newest["detail"]["before"]), (&json!("cli"), &json!({ "paused": true })));
    assert_eq!(actions(&["--tenant", "tenant_demo_cca"]).await, ["key.create", "tenant.create"]);
    assert_eq!(actions(&["--actor", &account().to_uppercase(), "--action", "queue.pause"]).await.len(), 2);
    assert_eq!(actions(&["--via", "cli", "--limit", "2"]).await, ["queue.pause", "queue.pause"]);
    assert!(actions(&["--via", "dashboard"]).await.is_empty());
    assert!(actions(&["--to", "2020-01-01T00:00:00Z"]).await.is_empty());
    assert_eq!(actions(&["--from", "2020-01-01T00:00:00Z"]).await.len(), 6);
    assert!(cli.refused(&["audit", "--tenant", "nobody"]).await.contains("nobody"));
    assert!(cli.refused(&["audit", "--from", "yesterday"]).await.contains("2026-01-31T08:00:00Z"));
    let backwards = ["audit", "--from", "2026-02-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z"];
    assert!(cli.refused(&backwards).await.contains("is not after"));
}
