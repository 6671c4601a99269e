//! `weirgate users` and `weirgate clients`: what they do, and what they say to whoever asks for what
//! cannot be.

use serde_json::Value;
use weirgate_identity::sign_in::Candidate;
use weirgate_test_support::tenant;

use super::cli::Cli;

const ADA: &str = "ada@example.com";

#[tokio::test]
async fn the_last_admin_who_can_sign_in_stays_whichever_command_would_end_that() {
    let cli = Cli::new().await;
    cli.ok(&["users", "create", ADA, "--role", "admin"]).await;
    // Who has no password yet could not take over.
    cli.ok(&["users", "invite", "grace@example.com", "--role", "admin"]).await;
    let ends = [
        &["users", "disable", ADA][..],
        &["users", "role", ADA, "viewer"],
        &["users", "withdraw", ADA],
        &["users", "grant", ADA, "--role", "operator"],
        &["users", "invite", ADA, "--role", "operator"],
    ];
    for args in ends {
        let said = cli.refused(args).await;
        let told = "ada@example.com is the last admin who can sign in";
        assert!(
            said.contains(told) && said.contains("make another account an admin first"),
            "{args:?}: {said}"
        );
    }
    let listed = cli.ok(&["users", "list"]).await;
    let line = listed.lines().find(|line| line.contains(ADA)).unwrap();
    assert!(line.contains("admin") && line.contains("active"), "{listed}");
    cli.ok(&["users", "password", "grace@example.com"]).await;
    cli.ok(&["users", "withdraw", ADA]).await;
    let said = cli.refused(&["users", "disable", "grace@example.com"]).await;
    assert!(said.contains("grace@example.com is the last admin"), "{said}");
}

#[tokio::test]
async fn roles_are_given_where_there_are_such_and_said_to_be_none_elsewhere() {
    let cli = Cli::new().await;
    tenant(&cli.db.pool, "acme", "UTC").await;
    for (args, told) in [
        (&["users", "create", "ada", "--role", "viewer"][..], "is not an email address"),
        (
            &["users", "create", ADA, "--role", "chief"],
            "platform has no role \"chief\"; it has: viewer, operator, admin",
        ),
        (
            &["users", "create", ADA, "--app", "desk", "--role", "reader"],
            "there is no app \"desk\"; there are: platform, msp",
        ),
        (
            &["users", "create", ADA, "--app", "msp", "--role", "reader"],
            "the role reader of msp is about one tenant: name it",
        ),
        (&["users", "create", ADA, "--tenant", "acme"], "is about no single tenant: name none"),
        (&["users", "create", ADA, "--app", "msp", "--role", "reader", "--tenant", "bolt"], "bolt"),
        (&["users", "invite", ADA], "a new account needs a role"),
        (&["users", "grant", ADA, "--role", "viewer"], "no account with the email ada@example.com"),
    ] {
        let said = cli.refused(args).await;
        assert!(said.contains(told), "{args:?}: {said}");
    }
    assert!(cli.ok(&["users", "list"]).await.contains("there are no accounts yet"));
    let place = ["--app", "msp", "--tenant", "acme"];
    cli.ok(&[&["users", "create", ADA, "--role", "reader", "--name", "Ada Lovelace"][..], &place].concat())
        .await;
    let again = cli.refused(&["users", "create", "ADA@example.com"]).await;
    assert!(again.contains("an account with the email ADA@example.com already exists"), "{again}");
    let json: Value = serde_json::from_str(&cli.out(&["users", "list", "--json"]).await).unwrap();
    assert_eq!((&json["full_name"], &json["state"]), (&"Ada Lovelace".into(), &"active".into()));
    assert_eq!(
        (&json["memberships"][0]["role"], &json["memberships"][0]["tenant"]),
        (&"reader".into(), &"acme".into())
    );
    cli.ok(&[&["users", "withdraw", ADA][..], &place].concat()).await;
    let none = cli.refused(&[&["users", "withdraw", ADA][..], &place].concat()).await;
    assert!(none.contains("has no role of msp of acme; `weirgate users list`"), "{none}");
    let roles = cli.ok(&["users", "roles"]).await;
    assert!(roles.contains("one tenant") && roles.contains("read:kpis"), "{roles}");
}

#[tokio::test]
async fn an_invitation_is_a_link_of_the_public_address() {
    let cli = Cli::new().await;
    let mut command = cli.command(&["users", "invite", ADA, "--role", "viewer"]);
    command.env("WEIRGATE_PUBLIC_URL", "https://jobs.example.com/");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let link = String::from_utf8(output.stdout).unwrap();
    let token =
        link.trim().strip_prefix("https://jobs.example.com/account/invitation?token=").expect("a link");
    assert_eq!(token.len(), 64);
    let kept: i64 = sqlx::query_scalar(
        "select count(*) from identity.invitations i, identity.audit a where i::text || a::text like '%' || $1 || '%'",
    )
    .bind(token)
    .fetch_one(&cli.db.pool)
    .await
    .unwrap();
    assert_eq!(kept, 0);
    let json: Value = serde_json::from_str(&cli.out(&["users", "list", "--json"]).await).unwrap();
    assert_eq!(json["state"], "invited");
}

#[tokio::test]
async fn apps_are_made_known_and_what_is_wrong_with_one_is_said_by_its_option() {
    let cli = Cli::new().await;
    assert!(cli.ok(&["clients", "list"]).await.contains("there are no apps yet"));
    let here = "https://desk.example.com/signed-in";
    let create = |id: &'static str, name: &'static str, more: &[&'static str]| {
        [&["clients", "create", id, "--name", name][..], more].concat()
    };
    for (args, told) in [
        (create("login", "Desk", &["--redirect-uri", here]), "is no client_id"),
        (create("desk", " ", &["--redirect-uri", here]), "--name: a name has 1 to 200 characters"),
        (
            create("desk", "Desk", &["--redirect-uri", "desk://in"]),
            "--redirect-uri: \"desk://in\" is no redirect URI",
        ),
        (create("desk", "Desk", &["--redirect-uri", here, "--origin", "*"]), "--origin: \"*\" is no origin"),
        (create("desk", "Desk", &[]), "--redirect-uri"),
        (vec!["clients", "disable", "desk"], "there is no app \"desk\"; `weirgate clients list`"),
    ] {
        let said = cli.refused(&args).await;
        assert!(said.contains(told), "{args:?}: {said}");
    }
    let args =
        create("desk", "Desk", &["--redirect-uri", here, "--redirect-uri", "http://127.0.0.1:5173/in"]);
    cli.ok(&args).await;
    assert!(cli.refused(&args).await.contains("there is a client desk already"));
    cli.ok(&["clients", "disable", "desk"]).await;
    let listed = cli.ok(&["clients", "list"]).await;
    assert!(listed.contains("disabled") && listed.contains(here), "{listed}");
    let json: Value = serde_json::from_str(&cli.out(&["clients", "list", "--json"]).await).unwrap();
    assert_eq!(json["redirect_uris"][1], "http://127.0.0.1:5173/in");
    assert!(cli.ok(&["clients", "enable", "desk"]).await.contains("can be signed in to again"));
}

#[tokio::test]
async fn a_hash_of_another_system_is_taken_over_and_what_is_none_is_refused() {
    let cli = Cli::new().await;
    let file = cli.home.path().join("hash.txt");
    let create = async |hash: &str| {
        std::fs::write(&file, format!("{hash}\n")).unwrap();
        let mut command = cli.command(&["users", "create", ADA, "--role", "viewer", "--password-hash-stdin"]);
        command.stdin(std::fs::File::open(&file).unwrap());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for none in ["correct horse battery", "$2b$15$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"] {
        let (ok, said) = create(none).await;
        assert!(!ok && said.contains("this is no hash of a password that can be taken over"), "{said}");
    }
    // The password U*U, as the tests of crypt_blowfish have it.
    let (ok, said) = create("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW").await;
    assert!(ok && !said.contains("password"), "{said}");
    let candidate = Candidate::find(&cli.db.pool, ADA).await.unwrap();
    assert!(candidate.verify(&cli.db.pool, "U*U", ()).await.is_some());
}
