//! Connections that break in the middle of what the engine does, before the server got it and after
//! it was done.

use std::collections::BTreeMap;

use rand::RngExt;

use crate::profile::times;
use crate::proxy::Loses;
use crate::scene::{Plan, Scene};
use crate::wire::{Kind, Place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut() {
    let mut scene = Scene::under_load(Plan::new("cut connections")).await;
    // Each round has one of every cut there is.
    let rounds = times(1, 16);
    let mut cuts = BTreeMap::<Kind, usize>::new();
    let mut hosts = 0;
    for _ in 0..rounds {
        for kind in Kind::ALL {
            for place in [Place::Statement, Place::Commit] {
                for loses in [Loses::Request, Loses::Answer] {
                    // The commit of a handler's writes is the one of its finish.
                    if (kind, place) == (Kind::Run, Place::Commit) {
                        continue;
                    }
                    scene.pause(0..100).await;
                    scene.proxy.cut(kind, place, loses).await;
                    *cuts.entry(kind).or_default() += 1;
                }
            }
        }
        // All that a worker has at once, whatever it is in the middle of.
        let worker = scene.rng.random_range(0..scene.workers.len());
        hosts += scene.proxy.cut_all(&scene.workers[worker].settings.name);
        scene.headway(50).await;
    }
    let of = |kind| cuts[&kind];
    let what = format!(
        "{} cuts aimed at claim ({}), run ({}), finish ({}) and enqueue ({}), half of them losing the answer, {hosts} \
         at random",
        cuts.values().sum::<usize>(),
        of(Kind::Claim),
        of(Kind::Run),
        of(Kind::Finish),
        of(Kind::Enqueue),
    );
    let counts = scene.end(&what).await;
    assert!(counts.unknown > 0, "no producer lost the answer to a commit");
}
