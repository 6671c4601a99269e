//! How a drain's rate changes with the number of worker processes and with the backlog.

use super::drain::{Drain, SLOTS};
use super::report::{Report, median};
use super::stage::Stage;

const ROUNDS: usize = 3;
/// How many jobs each number of processes runs. With a second's worth of jobs, most of the time
/// would go into connecting eight processes and planning their statements.
const LONG: i64 = 400_000;
const WORKERS: [(usize, &str); 4] =
    [(1, "jobs_per_s_1"), (2, "jobs_per_s_2"), (4, "jobs_per_s_4"), (8, "jobs_per_s_8")];
const ONE_LANE: [(usize, &str); 2] = [(2, "jobs_per_s_one_lane_2"), (8, "jobs_per_s_one_lane_8")];
const BACKLOGS: [(i64, &str); 3] = [
    (1_000, "jobs_per_s_backlog_1k"),
    (1_000_000, "jobs_per_s_backlog_1m"),
    (10_000_000, "jobs_per_s_backlog_10m"),
];

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("scale");
    let long = Drain { backlog: LONG, measured: LONG, ..Drain::default() };
    let by_workers = WORKERS.map(|(workers, name)| (Drain { workers, ..long }, name));
    let rates = in_turns(stage, &mut report, by_workers).await?;
    report.figure("rate_8_over_2", over(&rates[3], &rates[1]));
    let one_lane = ONE_LANE.map(|(workers, name)| (Drain { workers, tenants: 1, ..long }, name));
    let rates = in_turns(stage, &mut report, one_lane).await?;
    report.figure("one_lane_8_over_2", over(&rates[1], &rates[0]));
    backlogs(stage, &mut report).await?;
    report.setting("jobs", LONG);
    report.setting("jobs_of_backlogs", Drain::default().measured);
    report.setting("rounds", ROUNDS);
    report.setting("slots", SLOTS);
    Ok(report)
}

/// The rates of each drain, one after the other and again, so that whatever else the machine does
/// falls on all of them.
async fn in_turns<const N: usize>(
    stage: &Stage,
    report: &mut Report,
    drains: [(Drain, &'static str); N],
) -> anyhow::Result<[Vec<f64>; N]> {
    let mut rates = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for ((drain, _), rates) in drains.iter().zip(&mut rates) {
            rates.push(drain.run(stage).await?);
        }
    }
    for ((_, name), rates) in drains.iter().zip(&rates) {
        report.figure(name, median(rates.clone()));
    }
    Ok(rates)
}

/// The rate with each backlog, of that with 100,000 jobs. Its first 100,000 jobs are measured, and
/// then the next.
async fn backlogs(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let usual = Drain::default();
    let mut usual_rates = Vec::new();
    for (backlog, name) in BACKLOGS {
        let large = stage.beside().await?;
        let drain = Drain { backlog, measured: usual.measured.min(backlog), ..usual };
        let (mut rates, mut beside) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            if round == 0 || drain.measured == backlog {
                drain.fill(&large).await?;
            }
            rates.push(drain.measure(&large).await?);
            beside.push(usual.run(stage).await?);
        }
        large.close().await?;
        report.figure(name, median(rates.clone()));
        if backlog == 10_000_000 {
            report.figure("rate_10m_over_100k", over(&rates, &beside));
        }
        usual_rates.extend(beside);
    }
    report.figure("jobs_per_s_backlog_100k", median(usual_rates));
    Ok(())
}

/// The middle one of the quotients, round by round.
fn over(rates: &[f64], others: &[f64]) -> f64 {
    median(rates.iter().zip(others).map(|(rate, other)| rate / other).collect())
}
