//! Random sequences of commands: the engine and a small model in memory must agree after each of
//! them.
//!
//! `PROPTEST_CASES=5000 cargo test -p weirgate --test main engine::model` runs more of them.

mod commands;
mod driver;
mod expected;
mod verbs;

use std::fmt::Debug;

use anyhow::ensure;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use weirgate_test_support::TestDb;

use self::commands::{Command, HOSTS, LANES};
use self::driver::Case;

/// Cases in one database, before what they leave behind slows them down.
const CASES_PER_DATABASE: u32 = 250;

/// Usual number of cases; `PROPTEST_CASES` overrides it.
const CASES: u32 = 300;

/// Runs one in `part` of the cases.
fn check<T: Debug>(
    part: u32,
    strategy: &impl Strategy<Value = T>,
    test: &impl AsyncFn(&mut Case<'_>, T) -> anyhow::Result<()>,
) {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    config.cases = config.cases.div_ceil(part);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fresh = || (0_u32, runtime.block_on(TestDb::new()));
    let state = std::cell::RefCell::new(fresh());
    let outcome = TestRunner::new(config).run(strategy, |input| {
        let mut state = state.borrow_mut();
        if state.0 == CASES_PER_DATABASE {
            *state = fresh();
        }
        state.0 += 1;
        let one = async { test(&mut Case::new(&state.1).await?, input).await };
        runtime.block_on(one).map_err(|error| TestCaseError::fail(error.to_string()))
    });
    match outcome {
        Ok(()) => {}
        // The story tells the commands, as far as they did anything.
        Err(TestError::Fail(story, _)) => panic!("{story}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn the_engine_does_what_the_model_says() {
    check(1, &commands::sequence(), &async |case, commands: Vec<Command>| case.run(&commands).await);
}

#[test]
fn lanes_of_equal_weight_with_a_backlog_stay_abreast() {
    let claim = (0..HOSTS, 1..=6_usize).prop_map(|(host, room)| Command::Claim { host, room });
    let step = prop_oneof![
        8 => claim,
        1 => (0..12_usize).prop_map(|running| Command::Finish { running, jobs: 3, how: commands::How::Complete }),
        1 => Just(Command::Travel(4)),
        1 => Just(Command::Travel(20)),
    ];
    let steps = prop::collection::vec(step, 1..=25);
    check(15, &steps, &async |case, steps: Vec<Command>| {
        for lane in 0..LANES {
            let backlog = Command::Enqueue { lane, jobs: 60, priority: 0, delay: 0, max_attempts: 3 };
            case.apply(&backlog).await?;
        }
        for step in &steps {
            case.apply(step).await?;
            let starts = (0..LANES).map(|lane| case.expected.started(lane)).collect::<Vec<_>>();
            let ahead = starts.iter().max().unwrap() - starts.iter().min().unwrap();
            ensure!(ahead <= 1, case.story(&format!("the lanes started {starts:?}")));
        }
        Ok(())
    });
}
