//! A server that ends under its owner is started again, or the owner is told why not.

use super::*;

/// Waits until the owner has another server than `before`, which takes connections.
async fn another(server: &PrivatePostgres, before: u32) -> u32 {
    wait_for("a new server", || server.pid().is_some_and(|pid| pid != before)).await;
    server.pid().unwrap()
}

#[tokio::test]
async fn one_that_ends_however_it_does_is_started_again_on_its_port_with_what_was_committed() {
    let home = Home::new();
    let server = PrivatePostgres::start(Options::new(&home.path)).await.unwrap();
    write_row(&server).await;
    let (port, mut process) = (server.port(), server.pid().unwrap());
    // A crash, a fast shutdown, an immediate one, and a smart one, which waits for connections to
    // end.
    for signal in [Signal::KILL, Signal::INT, Signal::QUIT, Signal::TERM] {
        let open = connect(&server).await;
        kill_process(pid(process), signal).unwrap();
        process = another(&server, process).await;
        assert_eq!(server.port(), port);
        assert_eq!(read_row(&server).await, 42, "{signal:?}");
        drop(open);
    }
    // The home is still held, and the new server is stopped as the first would have been.
    assert!(home.refusal().await.contains("is in use by pid"));
    server.stop().await.unwrap();
    assert!(has_ended(process) && !home.data().join("postmaster.pid").exists());
}

#[tokio::test]
async fn one_that_was_taken_over_is_watched_too() {
    let home = Home::new();
    let mut helper = home.helper();
    let (process, port) = helper.server();
    drop(helper);
    let server = home.start().await;
    assert_eq!(server.pid(), Some(process));
    kill_process(pid(process), Signal::INT).unwrap();
    let process = another(&server, process).await;
    write_row(&server).await;
    assert_eq!((read_row(&server).await, server.port()), (42, port));
    drop(server);
    wait_for("the end of the server", || has_ended(process)).await;
}

#[tokio::test]
async fn one_that_cannot_be_started_again_is_given_up_with_the_reason() {
    let home = Home::new();
    let server = home.start().await;
    let process = server.pid().unwrap();
    fs::write(home.data().join("postgresql.conf"), "nonsense = 1\n").unwrap();
    kill_process(pid(process), Signal::KILL).unwrap();
    let why = tokio::time::timeout(Duration::from_mins(1), server.lost()).await.unwrap().to_string();
    assert!(why.contains("cannot be started again") && why.contains("\"nonsense\""), "{why}");
    assert_eq!(server.pid(), None);
    server.stop().await.unwrap();
    // The home is free.
    fs::write(home.data().join("postgresql.conf"), "").unwrap();
    home.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn no_new_data_takes_the_place_of_data_that_is_gone() {
    let home = Home::new();
    let server = home.start().await;
    let process = server.pid().unwrap();
    let aside = home.path.join("cold");
    fs::rename(home.data(), &aside).unwrap();
    kill_process(pid(process), Signal::KILL).unwrap();
    let why = tokio::time::timeout(Duration::from_mins(1), server.lost()).await.unwrap().to_string();
    assert!(why.contains("is gone; put it back"), "{why}");
    assert!(!home.data().exists());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_while_it_is_being_started_again_leaves_no_server() {
    let home = Home::new();
    for milliseconds in [0, 250, 450, 600] {
        let server = home.start().await;
        kill_process(pid(server.pid().unwrap()), Signal::KILL).unwrap();
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        server.stop().await.unwrap();
        let file = fs::read_to_string(home.data().join("postmaster.pid")).unwrap_or_default();
        let left = file.lines().next().and_then(|line| line.parse().ok());
        assert!(left.is_none_or(has_ended), "{file}");
    }
}
