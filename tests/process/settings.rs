//! Wrong settings stop the start, with their name and what was expected.

use crate::support::weirgate;

fn stderr_of(args: &[&str], settings: &[(&str, &str)]) -> String {
    let home = tempfile::tempdir().unwrap();
    let output = weirgate(args, home.path()).envs(settings.iter().copied()).output().unwrap();
    assert!(!output.status.success(), "{args:?} with {settings:?} must not start");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_wrong_value_is_named() {
    for (name, value) in [
        ("WEIRGATE_LISTEN", "8080"),
        ("MOCK_MODE", "perhaps"),
        ("WEIRGATE_GRACE_S", "-1"),
        ("WEIRGATE_RETENTION_DAYS", "0"),
        ("DATABASE_URL", "sqlite://x"),
        ("WEIRGATE_TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("WEIRGATE_LISTN", "127.0.0.1:80"),
    ] {
        let said = stderr_of(&["worker"], &[(name, value)]);
        assert!(said.contains(name), "{said}");
    }
    let said = stderr_of(&["worker"], &[("MOCK_DATA_PATH", "/no/such/folder")]);
    assert!(said.contains("MOCK_DATA_PATH") && said.contains("/no/such/folder"), "{said}");
}

#[test]
fn a_domain_or_queue_that_there_is_not_is_named_with_those_there_are() {
    for (args, settings, expected) in [
        (
            &["worker"][..],
            &[("WEIRGATE_DOMAINS", "nsp")][..],
            "WEIRGATE_DOMAINS: there is no domain \"nsp\"; there are: msp",
        ),
        (&["serve"], &[("WEIRGATE_DOMAINS", "msp,nsp")], "there are: msp"),
        (
            &["worker"],
            &[("WEIRGATE_CONCURRENCY", "8,kpy=2")],
            "WEIRGATE_CONCURRENCY: there is no queue \"kpy\"",
        ),
        (&["worker"], &[("WEIRGATE_CONCURRENCY", "kpi=2")], "8,kpi=16"),
        (
            &["worker", "--queues", "kpi,kpy"],
            &[],
            "--queues: there is no queue \"kpy\"; there are: export, ingest, kpi, system",
        ),
        (&["worker", "--queues", "kpi"], &[("WEIRGATE_DOMAINS", "")], "there are: system"),
    ] {
        let said = stderr_of(args, settings);
        assert!(said.contains(expected), "{args:?} with {settings:?}: {said}");
    }
}

#[test]
fn serve_wants_a_service_token() {
    for token in ["", "changeme", "short"] {
        let said = stderr_of(&["serve"], &[("SERVICE_TOKEN", token)]);
        assert!(said.contains("SERVICE_TOKEN") && said.contains("openssl rand"), "{said}");
    }
    let good = ("SERVICE_TOKEN", "0123456789abcdef");
    for role in ["serve", "up"] {
        let said = stderr_of(&[role], &[good, ("SERVICE_TOKEN_NEXT", "short")]);
        assert!(said.contains("SERVICE_TOKEN_NEXT: is shorter") && !said.contains("\"short"), "{said}");
    }
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_password() {
    let said = stderr_of(&["worker"], &[("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")]);
    assert!(said.contains("127.0.0.1:1") && !said.contains("hunter2"), "{said}");
}
