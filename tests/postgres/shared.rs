//! Several processes use the server of one home: the last to leave stops it, whoever started it.

use tokio_util::sync::CancellationToken;

use super::*;

fn sharing(home: &Home) -> Options {
    let mut options = home.options();
    options.exclusive = false;
    options
}

/// The processes that were started for a folder: servers, and what makes their data.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy().into_owned();
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains("postgres") && line.contains(&folder)).collect()
}

#[tokio::test]
async fn the_server_outlives_its_owner_while_another_uses_it() {
    let home = Home::new();
    let owner = PrivatePostgres::start(sharing(&home)).await.unwrap();
    write_row(&owner).await;
    let guest = PrivatePostgres::start(sharing(&home)).await.unwrap();
    let (process, port) = (owner.pid().unwrap(), owner.port());
    assert_eq!((guest.pid(), guest.port()), (None, port));
    let mut open = connect(&guest).await;
    owner.stop().await.unwrap();
    sqlx::query("SELECT 1").execute(&mut open).await.expect("the connection is still open");
    wait_for("the guest becomes the owner", || guest.pid() == Some(process)).await;
    // It is watched by its new owner.
    kill_process(pid(process), Signal::INT).unwrap();
    wait_for("another server", || guest.pid().is_some_and(|pid| pid != process)).await;
    let process = guest.pid().unwrap();
    assert_eq!((read_row(&guest).await, guest.port()), (42, port));
    guest.stop().await.unwrap();
    assert!(has_ended(process) && !home.data().join("postmaster.pid").exists());
}

#[tokio::test]
async fn an_owner_that_is_dropped_or_killed_leaves_it_to_the_others_too() {
    let home = Home::new();
    let owner = PrivatePostgres::start(sharing(&home)).await.unwrap();
    let guest = PrivatePostgres::start(sharing(&home)).await.unwrap();
    let process = owner.pid().unwrap();
    drop(owner);
    wait_for("the guest becomes the owner", || guest.pid() == Some(process)).await;
    write_row(&guest).await;
    drop(guest);
    wait_for("the end of the server", || has_ended(process)).await;

    let mut helper = home.helper();
    let (process, _) = helper.server();
    let mut options = sharing(&home);
    options.exclusive = false;
    let guest = PrivatePostgres::start(options).await.unwrap();
    drop(helper);
    wait_for("the guest becomes the owner", || guest.pid() == Some(process)).await;
    assert_eq!(read_row(&guest).await, 42);
    guest.stop().await.unwrap();
    assert!(has_ended(process));
}

#[tokio::test]
async fn however_they_leave_the_last_one_stops_it() {
    let home = Home::new();
    for round in 0..6 {
        let mut users = Vec::new();
        for _ in 0..4 {
            users.push(PrivatePostgres::start(sharing(&home)).await.unwrap());
        }
        if round % 2 == 1 {
            users.reverse();
        }
        let leaving: Vec<_> = users.into_iter().map(|user| tokio::spawn(user.stop())).collect();
        for left in leaving {
            left.await.unwrap().unwrap();
        }
        wait_for("the end of the server", || processes_of(&home.data()).is_empty()).await;
    }
}

#[tokio::test]
async fn one_that_wants_the_home_for_itself_may_share_it_with_those_that_do_not() {
    let home = Home::new();
    let command = PrivatePostgres::start(sharing(&home)).await.unwrap();
    let up = home.start().await;
    command.stop().await.unwrap();
    wait_for("it becomes the owner", || up.pid().is_some()).await;
    assert!(home.refusal().await.contains("is in use by pid"));
    up.stop().await.unwrap();
    assert!(processes_of(&home.data()).is_empty());
}

#[tokio::test]
async fn two_that_want_the_home_for_themselves_are_not_let_in_beside_a_command_that_owns_it() {
    let home = Home::new();
    let command = PrivatePostgres::start(sharing(&home)).await.unwrap();
    let up = home.start().await;
    assert!(home.refusal().await.contains("is in use by pid"));
    up.stop().await.unwrap();
    home.start().await.stop().await.unwrap();
    command.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_is_stopped_at_any_time_leaves_nothing_running() {
    for milliseconds in [0, 20, 60, 150, 300, 600, 1000, 1500] {
        let home = Home::new();
        let mut options = home.options();
        options.stop = CancellationToken::new();
        let stop = options.stop.clone();
        let start = tokio::spawn(PrivatePostgres::start(options));
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        stop.cancel();
        match start.await.unwrap() {
            Ok(server) => server.stop().await.unwrap(),
            Err(error) => assert_eq!(error.to_string(), "interrupted"),
        }
        let folder = home.parent.path().to_owned();
        wait_for("the end of all that was started", || processes_of(&folder).is_empty()).await;
        if home.path.exists() {
            let names = fs::read_dir(&home.path).unwrap().map(|it| it.unwrap().file_name());
            let left: Vec<_> = names.filter(|it| it.to_string_lossy().contains(".new-")).collect();
            assert!(left.is_empty(), "{left:?} after {milliseconds} ms");
        }
        // The next start finds its way.
        home.start().await.stop().await.unwrap();
    }
}
