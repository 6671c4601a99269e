//! Connections that are neither closed nor answered, as a proxy or a firewall leaves them that has
//! forgotten them, or a host that vanished.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::profile::times;
use crate::proxy::Hang;
use crate::scene::{Plan, Scene};

/// Until all goes on: from the beginning where new connections work, else from the end. In the
/// short profile other tests may share the machine, so it only says that nothing waits for what
/// hangs.
fn back() -> Duration {
    Duration::from_secs(times(35, 15) as u64)
}

/// How long a worker may take beyond its grace to end while nothing is answered; as above.
fn last_words() -> Duration {
    Duration::from_secs(times(25, 10) as u64)
}

fn seconds(short: usize) -> Duration {
    Duration::from_secs(times(short, 60) as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hang() {
    let mut scene = Scene::under_load(Plan::new("hanging connections")).await;
    let grace = scene.plan.grace;
    let (mut longest, mut hung, mut slowest) = (Duration::ZERO, 0, Duration::ZERO);
    for round in 0..times(1, 3) {
        let since = Instant::now();
        hung += scene.proxy.hang(if round == 2 { Hang::Half } else { Hang::Existing });
        longest = longest.max(scene.back(100).await);
        tokio::time::sleep(seconds(0).saturating_sub(since.elapsed())).await;
        scene.proxy.thaw();
        scene.headway(50).await;

        let since = Instant::now();
        hung += scene.proxy.hang(Hang::Everything);
        scene.pause(0..2000).await;
        slowest = slowest.max(stop(&mut scene, 0).await);
        tokio::time::sleep(seconds(12).saturating_sub(since.elapsed())).await;
        scene.proxy.thaw();
        scene.workers[0].start_again();
        longest = longest.max(scene.back(100).await);
    }
    scene
        .end(&format!(
            "{hung} connections, back within {:.1} s, ended within {:.1} s of SIGTERM",
            longest.as_secs_f64(),
            slowest.as_secs_f64()
        ))
        .await;
    assert!(longest <= back(), "took {longest:?}");
    assert!(slowest <= grace + last_words(), "took {slowest:?} to end");
}

/// How long a worker takes to end.
async fn stop(scene: &mut Scene, worker: usize) -> Duration {
    let since = Instant::now();
    scene.workers[worker].signal(Signal::TERM);
    while scene.workers[worker].lives() {
        assert!(
            since.elapsed() < Duration::from_mins(1),
            "a worker does not end while its database is silent"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    since.elapsed()
}

/// What hangs says nothing: not even that it hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_wake_ups() {
    let scene = Scene::under_load(Plan::new("hanging LISTEN")).await;
    let deadline = Instant::now() + Duration::from_secs(40);
    let hung = scene.workers.len();
    while scene.proxy.listening() < hung {
        assert!(Instant::now() < deadline, "not every worker listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(scene.proxy.hang(Hang::Listening), hung);
    for worker in 0..scene.workers.len() {
        // It may have hung before it had begun.
        let noticed = ["lost the LISTEN connection", "cannot listen for notifications"];
        while noticed.iter().all(|words| scene.workers[worker].logged(words) == 0) {
            assert!(Instant::now() < deadline, "worker-{worker} believes that it would be woken");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // Nothing else was closed for it.
    let closed: usize = scene.workers.iter().map(|worker| worker.logged("do not answer")).sum();
    assert_eq!(closed, 0, "connections were closed that answer");
    // What hangs is still there, for the proxy.
    while scene.proxy.listening() < 2 * hung {
        assert!(Instant::now() < deadline, "not every worker listens again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scene.proxy.thaw();
    scene.end(&format!("{hung} connections that workers are woken on")).await;
}
