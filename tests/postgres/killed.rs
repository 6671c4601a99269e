//! What a kill, of the server or of the process that starts it, leaves behind is made good.

use super::*;

#[tokio::test]
async fn a_killed_server_is_started_again() {
    let home = Home::new();
    // Without fsync, what was just committed may be lost with the server's memory.
    let options = Options::new(&home.path);
    let server = PrivatePostgres::start(options.clone()).await.unwrap();
    write_row(&server).await;
    let process = server.pid().unwrap();
    kill_process(pid(process), Signal::KILL).unwrap();
    drop(server);
    assert!(home.data().join("postmaster.pid").exists());
    let server = PrivatePostgres::start(options).await.unwrap();
    assert_ne!(server.pid(), Some(process));
    assert_eq!(read_row(&server).await, 42);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_stops() {
    let home = Home::new();
    let server = home.start().await;
    write_row(&server).await;
    let process = server.pid().unwrap();
    drop(server);
    // Started while the first is still stopping.
    let server = home.start().await;
    assert!(has_ended(process));
    assert_eq!(read_row(&server).await, 42);
    let process = server.pid().unwrap();
    drop(server);
    wait_for("the end of the server", || has_ended(process)).await;
}

#[tokio::test]
async fn a_server_left_running_is_taken_over() {
    let home = Home::new();
    let mut helper = home.helper();
    let (process, port) = helper.server();
    let holder = format!("is in use by pid {} (weirgate)", helper.child.id());
    assert!(home.refusal().await.contains(&holder));
    drop(helper);
    assert!(!has_ended(process));
    let server = home.start().await;
    assert_eq!((server.pid(), server.port()), (Some(process), port));
    write_row(&server).await;
    server.stop().await.unwrap();
    assert!(has_ended(process));

    // One that is dropped is told to stop as well.
    let mut helper = home.helper();
    let (process, _) = helper.server();
    drop(helper);
    let server = home.start().await;
    assert_eq!(read_row(&server).await, 42);
    drop(server);
    wait_for("the end of the server", || has_ended(process)).await;
}

#[tokio::test]
async fn a_careless_server_left_running_is_replaced() {
    let home = Home::new();
    let mut helper = home.helper();
    let (process, _) = helper.server();
    drop(helper);
    let server = PrivatePostgres::start(Options::new(&home.path)).await.unwrap();
    assert!(has_ended(process));
    assert_eq!(setting(&server, "fsync").await, "on");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_killed_at_any_time_is_made_good() {
    let home = Home::new();
    for milliseconds in [0, 30, 200, 600, 900, 1200] {
        let helper = home.helper();
        wait_for("the lock", || home.path.join("lock").exists()).await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        drop(helper);
    }
    let server = home.start().await;
    write_row(&server).await;
    server.stop().await.unwrap();
    // By now the last initdb that lost its weirgate has ended too.
    let server = home.start().await;
    assert_eq!(read_row(&server).await, 42);
    let names = fs::read_dir(&home.path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["lock", "lock.exclusive", "postgres", "postgres.log", "postgres.password"]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_given_to_another_process_is_no_server() {
    let home = Home::new();
    home.start().await.stop().await.unwrap();
    let data = fs::metadata(home.data()).unwrap();
    let mut other = Command::new("sleep").arg("60").uid(data.uid()).gid(data.gid()).spawn().unwrap();
    let file = home.data().join("postmaster.pid");
    let folder = home.data();
    for text in [
        format!("{}\n{}\n1\n5432\n\n127.0.0.1\n1 1\nready   \n", other.id(), folder.display()),
        "999999999\n/x\n1\n5432\n\n127.0.0.1\n1 1\nready   \n".to_owned(),
        String::new(),
    ] {
        fs::write(&file, &text).unwrap();
        chown(&file, Some(data.uid()), Some(data.gid())).unwrap();
        let server = home.start().await;
        server.stop().await.unwrap();
    }
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn a_database_that_a_killed_start_is_still_making_is_no_error() {
    let home = Home::new();
    let mut helper = home.helper();
    let (_, port) = helper.server();
    drop(helper);
    let password = fs::read_to_string(home.path.join("postgres.password")).unwrap();
    let url = format!("postgres://weirgate:{password}@127.0.0.1:{port}/postgres");
    let connect = async || PgConnection::connect(&url).await.unwrap();
    let (mut gate, mut killed, mut second_gate) = (connect().await, connect().await, connect().await);

    // The start looks for the database before the killed one has made it, and makes it after: locks
    // are given in the order they were asked for.
    for step in ["DROP DATABASE weirgate", "BEGIN", "LOCK TABLE pg_database IN EXCLUSIVE MODE"] {
        sqlx::raw_sql(step).execute(&mut gate).await.unwrap();
    }
    let made =
        tokio::spawn(async move { sqlx::raw_sql("CREATE DATABASE weirgate").execute(&mut killed).await });
    until_makers_wait(&mut gate, 1).await;
    let passed = tokio::spawn(async move {
        let once = "BEGIN; LOCK TABLE pg_database IN EXCLUSIVE MODE; COMMIT";
        sqlx::raw_sql(once).execute(&mut second_gate).await
    });
    until_makers_wait(&mut gate, 2).await;
    let start = tokio::spawn(PrivatePostgres::start(home.options()));
    until_makers_wait(&mut gate, 3).await;
    sqlx::raw_sql("COMMIT").execute(&mut gate).await.unwrap();

    made.await.unwrap().unwrap();
    passed.await.unwrap().unwrap();
    let server = start.await.unwrap().unwrap();
    write_row(&server).await;
    assert_eq!(read_row(&server).await, 42);
    server.stop().await.unwrap();
}

/// Waits until so many wait for the catalog of databases.
async fn until_makers_wait(connection: &mut PgConnection, makers: i64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks WHERE relation = 'pg_database'::regclass AND NOT granted",
        )
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        if waiting == makers {
            return;
        }
        assert!(Instant::now() < deadline, "{waiting} of {makers} wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
