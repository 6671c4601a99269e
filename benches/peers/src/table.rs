//! The table of everyone's figures.

use std::collections::BTreeMap;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::ours;
use crate::peer;
use crate::report::Report;
use crate::scenario::Scenario;

/// A column: its heading, and the figure of a scenario in it.
type Column = (&'static str, Scenario, &'static str);

const DRAINED: Column = ("drain/s\n1 proc", Scenario::Drain, "jobs_per_s_1");
const DRAINED_BY_TWO: Column = ("drain/s\n2 procs", Scenario::Drain, "jobs_per_s_2");
const COLUMNS: [Column; 14] = [
    ("enqueue/s\n×1", Scenario::Enqueue, "single_per_s"),
    ("enqueue/s\n×10", Scenario::Enqueue, "ten_per_s"),
    ("enqueue/s\nbulk", Scenario::Enqueue, "bulk_per_s"),
    ("start\np50 ms", Scenario::Latency, "start_p50_ms"),
    ("start\np99 ms", Scenario::Latency, "start_p99_ms"),
    ("steady\nper s", Scenario::Steady, "rate"),
    ("steady\np99 ms", Scenario::Steady, "e2e_p99_ms"),
    ("history\nratio", Scenario::History, "ratio"),
    ("WAL B\ndrained", Scenario::Drain, "wal_bytes_per_job_1"),
    ("WAL B\nin all", Scenario::Wal, "wal_bytes_per_job"),
    ("commits\ndrained", Scenario::Drain, "commits_per_job_1"),
    ("commits\nin all", Scenario::Wal, "commits_per_job"),
    ("server\nµs", Scenario::Drain, "server_us_per_job_1"),
    ("client\nµs", Scenario::Drain, "client_us_per_job_1"),
];

/// What has been measured.
#[derive(Debug, Default)]
pub(crate) struct Results(BTreeMap<(Scenario, String), Result<Report, String>>);

impl Results {
    pub(crate) fn keep(&mut self, scenario: Scenario, name: &str, measured: Result<Report, String>) {
        self.0.insert((scenario, name.to_owned()), measured);
    }

    fn figure(&self, name: &str, (_, scenario, figure): Column) -> Option<f64> {
        let report = self.0.get(&(scenario, name.to_owned()))?.as_ref().ok()?;
        report.figures.get(figure).copied()
    }

    /// The better of the two drains.
    fn best(&self, name: &str) -> Option<f64> {
        let two = [DRAINED, DRAINED_BY_TWO].map(|column| self.figure(name, column));
        two.into_iter().flatten().reduce(f64::max)
    }

    fn floor(&self, figure: &'static str) -> Option<f64> {
        self.figure(ours::NAME, ("", Scenario::Floor, figure))
    }

    fn cell(&self, name: &str, column: Column) -> String {
        match self.0.get(&(column.1, name.to_owned())) {
            Some(Err(_)) => "✗".to_owned(),
            _ => shown(self.figure(name, column)),
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        let mut heading = vec!["", DRAINED.0, DRAINED_BY_TWO.0, "of the\nfloor", "weirgate\nto it"];
        heading.extend(COLUMNS.map(|column| column.0));
        table.load_style(UTF8_FULL_CONDENSED).set_header(heading);
        for name in [ours::NAME].into_iter().chain(peer::all().map(peer::Peer::name)) {
            let mut row = vec![name.to_owned(), self.cell(name, DRAINED), self.cell(name, DRAINED_BY_TWO)];
            row.push(shown(ratio(self.best(name), self.floor("claim_finish_per_s"))));
            row.push(shown(ratio(self.best(ours::NAME), self.best(name))));
            row.extend(COLUMNS.map(|column| self.cell(name, column)));
            table.add_row(row);
        }
        let floor = |figure| shown(self.floor(figure));
        let claims = floor("claim_finish_per_s");
        let mut row =
            vec!["floor".to_owned(), claims.clone(), claims, "1".to_owned(), String::new(), String::new()];
        row.extend([floor("commits_per_s"), floor("copy_per_s")]);
        row.resize(COLUMNS.len() + 5, String::new());
        table.add_row(row);
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
        let awa = table.lines().find(|line| line.contains("awa")).unwrap();
        let cells: Vec<_> = awa.split(['│', '┆']).map(str::trim).collect();
        assert_eq!(cells[1..6], ["awa", "10.0k", "20.0k", "0.17", "3.00"]);
        assert!(awa.contains('✗'));
        assert!(table.ends_with("✗ history, awa: no rows"));
    }
}
