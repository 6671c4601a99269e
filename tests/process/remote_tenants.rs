//! Commands about a server elsewhere: tenants, their keys, failures, and schedules that are run by
//! hand.

use weirgate_web::tls::http_client;

use super::remote_scene::Scene;
use crate::support::Process;

const CCA: &str = "tenant_demo_cca";

async fn refused(scene: &Scene, args: &[&str]) -> String {
    let output = scene.asked(args).await;
    assert!(!output.status.success(), "{args:?} is done");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn tenants_are_made_changed_and_listed_through_both_doors() {
    let scene = Scene::new().await;
    for (slug, name) in [("acme", "Acme Ltd"), ("bolt", "Bolt")] {
        let create = ["tenants", "create", slug, "--name", name, "--time-zone", "Europe/London"];
        let set = ["tenants", "set", slug, "--active", "false", "--name", "A & B"];
        // One is made through each door.
        let said = if slug == "acme" {
            [scene.cli.out(&create).await, scene.cli.out(&set).await, scene.cli.out(&set).await]
        } else {
            [scene.out(&create).await, scene.out(&set).await, scene.out(&set).await]
        };
        assert!(said[0].starts_with(&format!("{slug}\t")), "{said:?}");
        assert_eq!(said[1..], [format!("{slug} was changed\n"), format!("{slug} is unchanged\n")]);
    }
    let listed = scene.same(&["tenants", "list"]).await;
    assert!(listed.contains("inactive") && listed.contains("A & B"), "{listed}");
    scene.same(&["tenants", "list", "--json"]).await;
    let shown = scene.same(&["tenants", "show", "bolt"]).await;
    assert!(shown.contains("\"A & B\"") && shown.contains("Europe/London"), "{shown}");
    for (args, hint) in [
        (&["tenants", "create", CCA][..], "weirgate tenants set"),
        (&["tenants", "create", "system"], "system"),
        (&["tenants", "create", "clay", "--time-zone", "UTC+3"], "--time-zone"),
        (&["tenants", "show", "nobody"], "weirgate tenants list"),
        (&["tenants", "set", CCA], "at least one of --name"),
        (&["tenants", "set", CCA, "--name", " "], "--name is blank"),
        (&["tenants", "set", "nobody", "--name", "x"], "weirgate tenants list"),
        (&["enqueue", "ingest_csat", "--tenant", "acme"], "--active true"),
    ] {
        for said in [scene.cli.refused(args).await, refused(&scene, args).await] {
            assert!(said.contains(hint), "{args:?}: {said}");
        }
    }
}

#[tokio::test]
async fn keys_come_and_go_through_both_doors() {
    let scene = Scene::new().await;
    let key = scene.out(&["keys", "create", CCA, "--name", "n8n", "--expires-in", "90d"]).await;
    let key = key.trim();
    let answer =
        http_client().build().unwrap().get(format!("{}/v1/jobs", scene.base)).header("x-api-key", key);
    assert_eq!(answer.send().await.unwrap().status(), 200);
    scene.same(&["keys", "list"]).await;
    let listed = scene.same(&["keys", "list", CCA]).await;
    let line = listed.lines().find(|line| line.contains("n8n")).expect(&listed);
    assert!(line.contains("good") && line.matches(" UTC").count() >= 2, "{line}");
    assert!(line.contains(" default "), "it was given no scopes: {line}");
    assert!(scene.out(&["keys", "revoke", key]).await.contains(&format!("{} is revoked", &key[..11])));
    for said in
        [scene.cli.refused(&["keys", "revoke", key]).await, refused(&scene, &["keys", "revoke", key]).await]
    {
        assert!(said.contains("no valid key") && !said.contains(key), "{said}");
    }
    let scopes = scene.same(&["keys", "scopes"]).await;
    assert!(scopes.contains("read:security_alerts") && scopes.contains("Read the KPIs"), "{scopes}");
    // One is made through each door.
    let auditor = |name| {
        ["keys", "create", CCA, "--name", name, "--scope", "read:csat,read:kpis", "--scope", "read:csat"]
    };
    scene.cli.out(&auditor("here")).await;
    scene.out(&auditor("there")).await;
    let listed = scene.same(&["keys", "list", CCA]).await;
    for name in ["here", "there"] {
        let line = listed.lines().find(|line| line.contains(name)).expect(&listed);
        assert!(line.contains("read:kpis, read:csat"), "{line}");
    }
    for (args, hint) in [
        (&["keys", "create", "nobody"][..], "weirgate tenants list"),
        (&["keys", "create", CCA, "--expires", "2020-01-01T00:00:00Z"], "--expires"),
        (&["keys", "create", CCA, "--name", " "], "--name"),
        (
            &["keys", "create", CCA, "--scope", "read:kpi"],
            "--scope: no scope \"read:kpi\"; there are read:jobs",
        ),
    ] {
        for said in [scene.cli.refused(args).await, refused(&scene, args).await] {
            assert!(said.contains(hint), "{args:?}: {said}");
        }
    }
}

#[tokio::test]
async fn failures_are_listed_and_schedules_are_run_through_both_doors() {
    let scene = Scene::new().await;
    assert!(scene.same(&["failures"]).await.contains("no failed jobs"));
    let run = ["schedules", "run", "daily_pipeline", "--tenant", CCA];
    let jobs = scene.out(&run).await;
    assert_eq!(jobs.trim().len(), 36, "{jobs}");
    assert!(scene.same(&["jobs", "show", jobs.trim()]).await.contains("generate_export"));
    for (args, hint) in [
        (&["schedules", "run", "prune"][..], "cannot be run now"),
        (&["schedules", "run", "nightly"], "nightly"),
        (&["schedules", "run", "daily_pipeline", "--tenant", "nobody"], "weirgate tenants list"),
    ] {
        for said in [scene.cli.refused(args).await, refused(&scene, args).await] {
            assert!(said.contains(hint), "{args:?}: {said}");
        }
    }
    // Whose files are gone.
    scene.out(&["tenants", "create", "nowhere"]).await;
    let _worker = Process::start(&mut scene.cli.command(&["worker"]));
    let failing = ["enqueue", "ingest_csat", "--tenant", "nowhere"];
    let id = scene.out(&failing).await;
    let failed = async || {
        let shown = scene.out(&["jobs", "show", id.trim()]).await;
        shown.contains("\"retryable\"") || shown.contains("\"discarded\"")
    };
    for _ in 0..200 {
        if failed().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let listed = scene.same(&["failures", "--limit", "5"]).await;
    assert!(listed.contains("ingest_csat"), "{listed}");
    let id = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(scene.same(&["jobs", "list", "--failure", id]).await.contains("ingest_csat"));
}
