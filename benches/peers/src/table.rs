//! The table of everyone's figures.

use std::collections::BTreeMap;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use crate::ours;
use crate::peer;
use crate::report::Report;
use crate::scenario::Scenario;

/// A row: what it is, and the figure of a scenario in it.
type Row = (&'static str, Scenario, &'static str);

const DRAINED: Row = ("drain, 1 process: jobs/s", Scenario::Drain, "jobs_per_s_1");
const DRAINED_BY_TWO: Row = ("drain, 2 processes: jobs/s", Scenario::Drain, "jobs_per_s_2");
const SINGLE: Row = ("enqueue one by one: jobs/s", Scenario::Enqueue, "single_per_s");
const TEN: Row = ("enqueue, ten connections: jobs/s", Scenario::Enqueue, "ten_per_s");
const BULK: Row = ("enqueue in bulk: jobs/s", Scenario::Enqueue, "bulk_per_s");
const ROWS: [Row; 13] = [
    ("start at idle, p50: ms", Scenario::Latency, "start_p50_ms"),
    ("start at idle, p99: ms", Scenario::Latency, "start_p99_ms"),
    ("5,000 jobs/s offered: jobs/s", Scenario::Steady, "rate"),
    ("5,000 jobs/s offered, end to end, p99: ms", Scenario::Steady, "e2e_p99_ms"),
    ("the same beside an old snapshot, of the rate alone", Scenario::Pinned, "rate_pinned_ratio"),
    ("the same, p99 of that alone", Scenario::Pinned, "p99_pinned_ratio"),
    ("drain with a long history, of that without", Scenario::History, "ratio"),
    ("drain: WAL bytes a job", Scenario::Drain, "wal_bytes_per_job_1"),
    ("enqueue and run: WAL bytes a job", Scenario::Wal, "wal_bytes_per_job"),
    ("drain: commits a job", Scenario::Drain, "commits_per_job_1"),
    ("enqueue and run: commits a job", Scenario::Wal, "commits_per_job"),
    ("drain: server's processor time, µs a job", Scenario::Drain, "server_us_per_job_1"),
    ("drain: client's processor time, µs a job", Scenario::Drain, "client_us_per_job_1"),
];

/// What has been measured.
#[derive(Debug, Default)]
pub(crate) struct Results(BTreeMap<(Scenario, String), Result<Report, String>>);

impl Results {
    pub(crate) fn keep(&mut self, scenario: Scenario, name: &str, measured: Result<Report, String>) {
        self.0.insert((scenario, name.to_owned()), measured);
    }

    fn figure(&self, name: &str, (_, scenario, figure): Row) -> Option<f64> {
        let report = self.0.get(&(scenario, name.to_owned()))?.as_ref().ok()?;
        report.figures.get(figure).copied()
    }

    /// The better of the two drains.
    fn best(&self, name: &str) -> Option<f64> {
        let two = [DRAINED, DRAINED_BY_TWO].map(|row| self.figure(name, row));
        two.into_iter().flatten().reduce(f64::max)
    }

    fn floor(&self, figure: &'static str) -> Option<f64> {
        self.figure(ours::NAME, ("", Scenario::Floor, figure))
    }

    fn cell(&self, name: &str, row: Row) -> String {
        match self.0.get(&(row.1, name.to_owned())) {
            Some(Err(_)) => "✗".to_owned(),
            _ => shown(self.figure(name, row)),
        }
    }

    /// In Markdown, one column each.
    pub(crate) fn table(&self) -> String {
        let names: Vec<&str> = [ours::NAME].into_iter().chain(peer::all().map(peer::Peer::name)).collect();
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([""].into_iter().chain(names.iter().copied()).chain(["floor"]));
        let mut add = |label: &str, cell: &dyn Fn(&str) -> String, floor: &str| {
            let cells = names.iter().map(|name| cell(name));
            table.add_row([label.to_owned()].into_iter().chain(cells).chain([floor.to_owned()]));
        };
        let floor = |figure| shown(self.floor(figure));
        let claims = floor("claim_finish_per_s");
        for row in [DRAINED, DRAINED_BY_TWO] {
            add(row.0, &|name| self.cell(name, row), &claims);
        }
        let of_floor = |name: &str| shown(ratio(self.best(name), self.floor("claim_finish_per_s")));
        add("the better of both, of the floor", &of_floor, "1");
        let of_it = |name: &str| shown(ratio(self.best(ours::NAME), self.best(name)));
        add("weirgate to it", &of_it, "");
        add(SINGLE.0, &|name| self.cell(name, SINGLE), "");
        add(TEN.0, &|name| self.cell(name, TEN), &floor("commits_per_s"));
        add(BULK.0, &|name| self.cell(name, BULK), &floor("copy_per_s"));
        for row in ROWS {
            add(row.0, &|name| self.cell(name, row), "");
        }
        let failed = self.0.iter().filter_map(|((scenario, name), measured)| {
            let error = measured.as_ref().err()?;
            Some(format!("\n✗ {}, {name}: {error}", scenario.name()))
        });
        table.to_string() + &failed.collect::<String>()
    }
}

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.zip(other).map(|(one, other)| one / other)
}

/// Three digits, and thousands as k.
fn shown(value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    match value.abs() {
        0.0 => "0".to_owned(),
        1e5.. => format!("{:.0}k", value / 1e3),
        1e4.. => format!("{:.1}k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Results, shown};
    use crate::report::Report;
    use crate::scenario::Scenario;

    fn report(scenario: Scenario, figures: &[(&str, f64)]) -> Report {
        let mut report = Report::new(scenario.name());
        for (name, value) in figures {
            report.figure(name, *value);
        }
        report
    }

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 0.0123, 0.32, 9.5, 15.25, 567.0, 1215.0, 73_700.0, 400_000.0]
            .map(|value| shown(Some(value)));
        assert_eq!(all, ["0", "0.0123", "0.32", "9.50", "15.2", "567", "1215", "73.7k", "400k"]);
        assert_eq!(shown(None), "–");
    }

    #[test]
    fn ratios_are_of_the_better_drain_and_errors_stand_below() {
        let mut results = Results::default();
        let drained = |one, two| Ok(report(Scenario::Drain, &[("jobs_per_s_1", one), ("jobs_per_s_2", two)]));
        results.keep(Scenario::Drain, "weirgate", drained(60_000.0, 50_000.0));
        results.keep(Scenario::Drain, "awa", drained(10_000.0, 20_000.0));
        let floor = report(Scenario::Floor, &[("claim_finish_per_s", 120_000.0)]);
        results.keep(Scenario::Floor, "weirgate", Ok(floor));
        results.keep(Scenario::History, "awa", Err("no rows".to_owned()));
        let table = results.table();
        let row = |label: &str| {
            let line = table.lines().find(|line| line.contains(label)).unwrap();
            line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
        };
        let column = row("graphile_worker").iter().position(|name| name == "awa").unwrap();
        assert_eq!(row("drain, 2 processes")[column], "20.0k");
        assert_eq!(row("of the floor")[column], "0.17");
        assert_eq!(row("weirgate to it")[column], "3.00");
        assert_eq!(row("long history")[column], "✗");
        assert!(table.ends_with("✗ history, awa: no rows"));
    }
}
