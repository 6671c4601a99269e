//! Commands about a server elsewhere: what they show and do is the same as on the database.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::Value;
use weirgate_msp::IngestCsat;
use weirgate_queue::{NewJob, enqueue};

use super::cli::Cli;
use super::remote_proxy::{self, Lose};
use super::remote_scene::{Scene, TOKEN, elsewhere, output, plain, serve, text};
use crate::support::{Process, weirgate};

const CCA: &str = "tenant_demo_cca";

#[tokio::test]
async fn what_is_shown_is_the_same_through_both_doors() {
    let scene = Scene::new().await;
    let mut worker = Process::start(&mut scene.cli.command(&["worker"]));
    let day = ["--tenant", CCA, "--date", "2026-01-20"];
    let export: Value = serde_json::from_str(
        &scene.out(&[&["enqueue", "generate_export", "--wait"], &day[..]].concat()).await,
    )
    .unwrap();
    assert_eq!(export["state"], "completed");
    let pipeline = scene.out(&[&["enqueue", "daily_pipeline", "--wait"], &day[..]].concat()).await;
    assert!(pipeline.contains("\"generate_export\"") || pipeline.contains("\"completed\""), "{pipeline}");
    let backfill =
        scene.out(&["backfill", "compute_kpi", "--from", "2026-01-01", "--to", "2026-01-03", "--watch"]);
    let backfill = backfill.await;
    assert!(backfill.contains("6/6 completed"), "{backfill}");
    let backfill = backfill.lines().next().unwrap().to_owned();
    worker.signal("TERM");
    worker.ended().await;
    let waiting = scene.out(&["enqueue", "ingest_csat", "--tenant", CCA]).await;
    let waiting = waiting.trim();

    let listed = scene.same(&["jobs", "list"]).await;
    assert!(listed.lines().count() > 10 && listed.contains(waiting), "{listed}");
    for args in [
        &["jobs", "list", "--json", "--kind", "compute_kpi"][..],
        &["jobs", "list", "--state", "available,running", "--tenant", CCA],
        &["jobs", "list", "--arg", "date=2026-01-20", "--queue", "kpi", "--limit", "1"],
        &["jobs", "list", "--backfill", &backfill, "--q", "2026-01-02"],
        &[
            "jobs",
            "list",
            "--created-after",
            "2020-01-01T00:00:00+01:00",
            "--created-before",
            "2100-01-01T00:00:00Z",
        ],
        &["jobs", "list", "--tenant", "system"],
        &["jobs", "show", waiting],
        &["backfills", "list"],
        &["backfills", "show", &backfill],
        &["schedules", "list"],
        &["limits", "show", CCA],
        &["jobs", "bulk", "retry", "--state", "discarded", "--dry-run"],
        &["jobs", "bulk", "cancel", "--all", "--dry-run"],
        &["backfill", "compute_kpi", "--from", "2026-01-01", "--to", "2026-01-05", "--dry-run"],
    ] {
        assert!(!scene.same(args).await.is_empty(), "{args:?}");
    }
    assert!(scene.same(&["jobs", "show", waiting]).await.contains("\"no_live_worker\""));
    // Jobs a second differ from look to look.
    let queues = |shown: String| plain(&shown.replace(|it: char| it == '.' || it.is_ascii_digit(), ""));
    assert_eq!(
        queues(scene.cli.out(&["queues", "list"]).await),
        queues(scene.out(&["queues", "list"]).await)
    );
}

#[tokio::test]
async fn what_is_done_is_said_in_the_same_words_through_both_doors() {
    let scene = Scene::new().await;
    let day = ["enqueue", "compute_kpi", "--tenant", CCA, "--date", "2026-01-20", "--priority", "-3"];
    let acts: [&[&str]; 6] = [
        &day,
        &day,
        &["jobs", "cancel", "ID"],
        &["jobs", "retry", "ID"],
        &["jobs", "show", "ID"],
        &["jobs", "cancel", "ID"],
    ];
    scene.alike(&acts).await;
    let later =
        ["enqueue", "generate_export", "--tenant", CCA, "--date", "2026-01-20", "--arg", "format=csv"];
    let later = [&later[..], &["--run-at", "2099-01-01T00:00:00Z", "--force"]].concat();
    scene.alike(&[&later, &["jobs", "show", "ID"], &["jobs", "cancel", "ID"]]).await;
    let range = ["backfill", "compute_kpi", "--from", "2026-01-01", "--to", "2026-01-02", "--tenants", CCA];
    let range = [&range[..], &["--share", "0.5", "--max-running", "2", "--order", "oldest_first"]].concat();
    let acts: [&[&str]; 6] = [
        &range,
        &["backfills", "show", "ID"],
        &["backfills", "pause", "ID"],
        &["backfills", "resume", "ID"],
        &["backfills", "retry-failed", "ID"],
        &["backfills", "cancel", "ID"],
    ];
    scene.alike(&acts).await;
    scene.alike(&[&["queues", "pause", "kpi"], &["queues", "resume", "kpi"]]).await;
    let set = ["limits", "set", CCA, "ingest", "--rate", "20", "--period", "500ms", "--burst", "5"];
    let set = [&set[..], &["--max-running", "3", "--weight", "2"]].concat();
    let hourly = ["limits", "set", CCA, "kpi", "--rate", "7", "--period", "1h"];
    let acts: [&[&str]; 5] = [
        &set,
        &hourly,
        &["limits", "show", CCA],
        &["limits", "clear", CCA, "ingest"],
        &["limits", "clear", CCA, "kpi"],
    ];
    scene.alike(&acts).await;
    let name = "daily_pipeline";
    let acts: [&[&str]; 4] = [
        &["schedules", "pause", name],
        &[
            "schedules",
            "set",
            name,
            "--cron",
            "0 30 1 * * *",
            "--time-zone",
            "Europe/Berlin",
            "--missed",
            "all",
        ],
        &["schedules", "set", name, "--cron", "0 15 0 * * *", "--time-zone", "each", "--missed", "one"],
        &["schedules", "resume", name],
    ];
    scene.alike(&acts).await;
    let bulk = ["jobs", "bulk", "cancel", "--tenant", CCA, "--state", "scheduled"];
    scene.alike(&[&bulk, &bulk, &["jobs", "show", "ID"], &["jobs", "cancel", "ID"]]).await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_the_words_of_the_command_line() {
    let scene = Scene::new().await;
    let nobody = "00000000-0000-7000-8000-000000000000";
    let range = ["--from", "2026-01-01", "--to", "2026-01-02"];
    for (args, hint) in [
        (&["enqueue", "compute", "--tenant", CCA][..], "known kinds: "),
        (&["enqueue", "compute_kpi", "--tenant", CCA], "needs a date, such as --date"),
        (
            &["enqueue", "ingest_csat", "--tenant", CCA, "--date", "2026-01-20"],
            "--date: ingest_csat takes no date",
        ),
        (&["enqueue", "ingest_csat", "--tenant", CCA, "--arg", "force=true"], "no such argument"),
        (
            &["enqueue", "generate_export", "--tenant", CCA, "--date", "2026-01-20", "--arg", "format=xml"],
            "--arg format: expected json or csv",
        ),
        (&["enqueue", "compute_kpi", "--tenant", "acme", "--date", "2026-01-20"], "no tenant \"acme\""),
        (&["enqueue", "compute_kpi", "--tenant", CCA, "--date", "9999-12-31"], "in the future"),
        (&["jobs", "list", "--tenant", "acme"], "weirgate tenants list"),
        (&["jobs", "show", nobody], nobody),
        (&["jobs", "bulk", "delete"], "no filter is given"),
        (&["jobs", "bulk", "delete"], "--all"),
        (&["jobs", "bulk", "retry", "--state", "completed"], "retry is for discarded and cancelled"),
        (&["backfill", "compute_kpi", "--from", "2026-01-02", "--to", "2026-01-01"], "is before"),
        (&[&["backfill", "compute_kpi", "--tenants", "acme"], &range[..]].concat(), "no tenant \"acme\""),
        (&["backfill", "compute_kpi", "--from", "2026-01-01", "--to", "9999-12-31"], "over a year away"),
        (&["backfills", "show", nobody], nobody),
        (&["queues", "pause", "nothing"], "export, ingest, kpi, system"),
        (&["limits", "set", CCA, "ingest", "--rate", "0"], "--rate: expected"),
        (&["limits", "set", CCA, "ingest", "--rate", "1", "--period", "0.1ms"], "--p"),
        (&["limits", "set", CCA, "ingest"], "at least one"),
        (&["limits", "set", CCA, "nothing", "--rate", "1"], "export, ingest, kpi, system"),
        (&["schedules", "set", "daily_pipeline", "--cron", "0 99 * * * *"], "--cron: "),
        (&["schedules", "set", "daily_pipeline", "--time-zone", "MSK"], "--time-zone: "),
        (&["schedules", "pause", "nightly"], "nightly"),
        (&["schedules", "set", "daily_pipeline", "--cron", ""], "--cron"),
        (&["jobs", "list", "--created-after", ""], "--created-after"),
    ] {
        let (here, there) = (scene.cli.run(args).await, scene.asked(args).await);
        let there = (there.status.success(), text(&there.stderr));
        for (ok, said) in [here, there] {
            assert!(!ok && said.contains(hint), "{args:?}, {hint:?}: {said}");
            assert!(!said.contains("{\"") && !said.contains("/internal/"), "{args:?}: {said}");
        }
    }
    // For the API, a blank is no filter at all: a script's empty variable must not take every job
    // of a tenant.
    for (args, hint) in [
        (&["jobs", "list", "--kind", ""][..], "--kind is blank"),
        (&["jobs", "list", "--arg", "date="], "--arg date is blank"),
        (&["jobs", "bulk", "cancel", "--tenant", CCA, "--kind", " "], "--kind is blank"),
        (&["jobs", "bulk", "cancel", "--tenant", CCA, "--arg", "date="], "--arg date is blank"),
    ] {
        let output = scene.asked(args).await;
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(hint), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn the_token_comes_from_the_environment_a_file_or_standard_input() {
    let scene = Scene::new().await;
    let file = scene.cli.home.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let file = file.to_str().unwrap();
    let bare = |args: &[&str]| {
        let mut command =
            weirgate(&[&["queues", "list", "--server", &scene.base], args].concat(), scene.cli.home.path());
        // A token for another purpose goes nowhere.
        command.stdin(Stdio::null()).env("SERVICE_TOKEN", TOKEN);
        command
    };
    for args in [&["--token", TOKEN][..], &["--token-file", file]] {
        assert!(output(bare(args)).await.status.success(), "{args:?}");
    }
    let mut piped = bare(&["--token-file", "-"]);
    piped.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut piped = piped.spawn().unwrap();
    writeln!(piped.stdin.take().unwrap(), "{TOKEN}").unwrap();
    let piped = tokio::task::spawn_blocking(move || piped.wait_with_output().unwrap()).await.unwrap();
    assert!(text(&piped.stdout).contains("ingest"));
    for (args, hint) in [
        (&[][..], "set WEIRGATE_TOKEN"),
        (&["--token", "another-token-than-that"], "rejects the token"),
        (&["--token", ""], "the token is empty"),
        (&["--token-file", "nowhere"], "nowhere"),
    ] {
        let output = output(bare(args)).await;
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(hint), "{args:?}: {said}");
        assert!(!said.contains("another-token"), "{said}");
    }
    let lost = output(weirgate(&["queues", "list", "--token", TOKEN], scene.cli.home.path())).await;
    assert!(text(&lost.stderr).contains("--server or WEIRGATE_URL"));
    let help = scene.cli.ok(&["enqueue", "--help"]).await;
    assert!(help.contains("WEIRGATE_URL") && help.contains("Other accounts"), "{help}");
}

#[tokio::test]
async fn what_runs_on_this_machine_asks_no_server() {
    let cli = Cli::new().await;
    let out = cli.home.path().join("mock");
    for args in [
        &["demo"][..],
        &["up"],
        &["serve"],
        &["worker"],
        &["migrate", "up"],
        &["seed"],
        &["users", "list"],
        &["clients", "list"],
        &["bench", "drain"],
        &["mock-data", "--out", out.to_str().unwrap()],
        &["completions", "bash"],
    ] {
        let said = cli.refused(&[args, &["--server", "http://127.0.0.1:1"]].concat()).await;
        let start = format!("weirgate: `weirgate {}` cannot use a remote server: it ", args[0]);
        assert!(said.starts_with(&start) || said.contains("a token cannot create users"), "{said}");
    }
    // The setting may be there for other commands.
    for args in [&["users", "list"][..], &["migrate", "status"], &["completions", "bash"]] {
        let mut command = cli.command(args);
        command.env("WEIRGATE_URL", "http://127.0.0.1:1");
        assert!(output(command).await.status.success(), "{args:?}");
    }
    let said = cli.refused(&["jobs", "list", "--server", "jobs.example.com"]).await;
    assert!(said.contains("such as https://"), "{said}");
}

#[tokio::test]
async fn what_is_not_there_or_no_weirgate_is_said() {
    let cli = Cli::new().await;
    let list = ["jobs", "list"];
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = output(elsewhere(&cli, &list, &format!("http://{nobody}"))).await;
    assert!(text(&said.stderr).contains(&format!("no Weirgate answers at http://{nobody}: ")), "{said:?}");
    assert!(said.stdout.is_empty());
    let scene = Scene::new().await;
    let secure = scene.base.replace("http://", "https://");
    let said = output(elsewhere(&cli, &list, &secure)).await;
    assert!(
        text(&said.stderr).contains("should the URL begin with http:// instead of https://?"),
        "{said:?}"
    );
    // A web server, and one that sends everybody elsewhere.
    let other = remote_proxy::page("<html>hello</html>").await;
    let said = output(elsewhere(&cli, &list, &other)).await;
    assert!(text(&said.stderr).contains("is not a Weirgate"), "{said:?}");
    let moved = remote_proxy::redirect("https://jobs.example.com/").await;
    let said = output(elsewhere(&cli, &list, &moved)).await;
    assert!(text(&said.stderr).contains("to https://jobs.example.com/"), "{said:?}");
}

#[tokio::test]
async fn behind_a_proxy_with_a_path_lists_go_on_and_a_lost_answer_is_no_second_job() {
    let scene = Scene::new().await;
    let proxy = remote_proxy::below("/w/api", &scene.base, Lose::FirstOfEachPost).await;
    let through = async |args: &[&str]| output(elsewhere(&scene.cli, args, &proxy)).await;
    let enqueued = through(&["enqueue", "ingest_csat", "--tenant", CCA, "--force"]).await;
    assert!(enqueued.status.success() && text(&enqueued.stderr).contains("trying again"), "{enqueued:?}");
    let count = "select count(*) from queue.jobs where kind = 'ingest_csat'";
    let count: i64 = sqlx::query_scalar(count).fetch_one(&scene.cli.db.pool).await.unwrap();
    assert_eq!(count, 1);

    // More than a page of the API.
    let tenant: uuid::Uuid = sqlx::query_scalar("select id from identity.tenants where slug = $1")
        .bind(CCA)
        .fetch_one(&scene.cli.db.pool)
        .await
        .unwrap();
    let job = |_| NewJob::of(tenant, &IngestCsat { tenant: tenant.into() }).unwrap().not_unique();
    let mut tx = scene.cli.db.pool.begin().await.unwrap();
    enqueue(&mut tx, (0..600).map(job).collect()).await.unwrap();
    tx.commit().await.unwrap();
    let list = ["jobs", "list", "--limit", "590"];
    let (here, there) = (scene.cli.out(&list).await, through(&list).await);
    assert_eq!((here.lines().count(), &here), (591, &text(&there.stdout)), "{}", text(&there.stderr));

    // Through somebody else's network, the token can be read.
    let mut command = elsewhere(&scene.cli, &["queues", "list"], "http://jobs.example.com/w/api");
    command.env("http_proxy", proxy.trim_end_matches("/w/api"));
    let open = output(command).await;
    assert!(open.status.success() && text(&open.stderr).contains("unencrypted"), "{open:?}");
}

#[tokio::test]
async fn a_server_that_has_too_much_to_do_is_waited_for() {
    let scene = Scene::with(&[("WEIRGATE_REQUESTS_PER_S", "1"), ("WEIRGATE_REQUEST_BURST", "1")]).await;
    // It takes two requests.
    let shown = scene.asked(&["limits", "show", CCA]).await;
    assert!(shown.status.success() && text(&shown.stdout).contains("ingest"), "{shown:?}");
    assert!(text(&shown.stderr).contains("trying again"), "{shown:?}");
}

#[tokio::test]
async fn who_waits_goes_on_when_the_server_comes_back() {
    let mut scene = Scene::new().await;
    let mut waiting = scene.command(&["enqueue", "ingest_csat", "--tenant", CCA, "--wait"]);
    let mut waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(waiting.stderr.take().unwrap());
    let mut until = |words: &str| {
        let mut lines = String::new();
        while !lines.contains(words) {
            assert!(said.read_line(&mut lines).unwrap() > 0, "it ended without {words:?}: {lines}");
        }
    };
    until("no live worker serves queue \"ingest\"");
    scene.server.signal("KILL");
    scene.server.ended().await;
    until("trying again");
    let listen = scene.base.trim_start_matches("http://").to_owned();
    let (_server, _) = serve(&scene.cli, &listen, &[]);
    let _worker = Process::start(&mut scene.cli.command(&["worker"]));
    let ended = tokio::task::spawn_blocking(move || waiting.wait_with_output().unwrap()).await.unwrap();
    let job: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&job["state"], ended.status.code()), (&"completed".into(), Some(0)));
}

#[tokio::test]
async fn who_waits_is_free_to_go_at_once() {
    let scene = Scene::new().await;
    let args = ["enqueue", "ingest_csat", "--tenant", CCA, "--wait", "--server", &scene.base];
    let mut command = weirgate(&args, scene.cli.home.path());
    let mut process = Process::start(command.env("WEIRGATE_TOKEN", TOKEN));
    let mut said = BufReader::new(process.stderr());
    let mut lines = String::new();
    while !lines.contains("no live worker") {
        assert!(said.read_line(&mut lines).unwrap() > 0, "{lines}");
    }
    process.signal("INT");
    said.read_to_string(&mut lines).unwrap();
    assert_eq!(process.ended().await.code(), Some(130), "{lines}");
    assert!(lines.contains("the job continues"), "{lines}");
    // What is suggested works.
    let hint = lines.lines().find_map(|line| line.split_once("weirgate jobs show ")).unwrap().1.to_owned();
    let show: Vec<&str> = ["jobs", "show"].into_iter().chain(hint.split_whitespace()).collect();
    let mut show = weirgate(&show, scene.cli.home.path());
    show.env("WEIRGATE_TOKEN", TOKEN);
    let shown = output(show).await;
    assert!(text(&shown.stdout).contains("\"available\""), "{shown:?}");
}
