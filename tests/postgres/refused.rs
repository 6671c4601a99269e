//! What the private Postgres refuses, and that it says what to do.

use super::*;

#[tokio::test]
async fn a_folder_without_programs_is_named() {
    let home = Home::new();
    let mut options = home.options();
    options.bin_dir = Some(home.parent.path().to_owned());
    let said = refusal(options.clone()).await;
    assert!(said.contains("WEIRGATE_PG_BIN is ") && said.contains("has no `initdb`"), "{said}");
    options.bin_dir = Some(PathBuf::from("/usr/lib/postgresql/15/bin"));
    PrivatePostgres::start(options).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let home = Home::new();
    home.start().await.stop().await.unwrap();
    let data = home.data();

    let version = data.join("PG_VERSION");
    let right = fs::read(&version).unwrap();
    fs::write(&version, "14\n").unwrap();
    let said = home.refusal().await;
    assert!(said.contains("was made by Postgres 14") && said.contains("only 15 ("), "{said}");
    fs::write(&version, right).unwrap();

    set_mode(&data, 0o750);
    let said = home.refusal().await;
    assert!(said.contains("is 750, not 700") && said.contains("chmod 700"), "{said}");
    set_mode(&data, 0o700);

    let password = home.path.join("postgres.password");
    let right = fs::read(&password).unwrap();
    fs::remove_file(&password).unwrap();
    let said = home.refusal().await;
    assert!(said.contains("postgres.password is missing"), "{said}");
    fs::write(&password, right).unwrap();

    fs::write(data.join("postgresql.conf"), "nonsense = 1\n").unwrap();
    let said = home.refusal().await;
    assert!(said.contains("the end of its log") && said.contains("\"nonsense\""), "{said}");

    set_mode(&home.path, 0o777);
    let said = home.refusal().await;
    assert!(said.contains("is writable by everyone"), "{said}");
    set_mode(&home.path, 0o711);
}

#[tokio::test]
async fn what_is_not_a_cluster_is_left_alone() {
    let home = Home::new();
    fs::create_dir_all(home.path.join("postgres")).unwrap();
    set_mode(&home.path.join("postgres"), 0o700);
    if is_root() {
        let said = home.refusal().await;
        assert!(said.contains("belongs to uid 0"), "{said}");
    } else {
        fs::write(home.path.join("postgres/mine"), "").unwrap();
        let said = home.refusal().await;
        assert!(said.contains("not the data directory of a Postgres"), "{said}");
    }
    fs::remove_dir_all(home.path.join("postgres")).unwrap();
    std::os::unix::fs::symlink("/tmp", home.path.join("postgres")).unwrap();
    let said = home.refusal().await;
    assert!(said.contains("is not a folder"), "{said}");
}
