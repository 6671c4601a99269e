use std::collections::BTreeSet;

use futures_util::StreamExt as _;

use super::*;
use crate::sources::rows::{CsatSurvey, Row, SecurityAlert, Ticket, TimeEntry};
use crate::sources::{MockSource, Source as _, parse};

fn settings(out: &Path, layout: Layout) -> Generate {
    Generate {
        out: out.to_owned(),
        tenants: 2,
        tickets: 300,
        time_entries: 400,
        surveys: 60,
        alerts: 80,
        days: 30,
        until: NaiveDate::from_ymd_opt(2026, 1, 20).expect("a day"),
        seed: 7,
        bad_rows: 25,
        layout,
        force: false,
    }
}

/// All files below a folder, by name, with their bytes.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let [a, b, c] = ["a", "b", "c"].map(|it| dir.path().join(it));
    let summary = generate(&settings(&a, Layout::Jsonl)).expect("written");
    assert_eq!(generate(&settings(&b, Layout::Jsonl)).expect("written"), summary);
    let other = Generate { seed: 8, ..settings(&c, Layout::Jsonl) };
    generate(&other).expect("written");
    let bytes = |dir: &Path| -> Vec<Vec<u8>> { contents(dir).into_iter().map(|(_, bytes)| bytes).collect() };
    assert_eq!(bytes(&a), bytes(&b));
    assert!(bytes(&a).iter().zip(bytes(&c)).all(|(a, c)| *a != c));
    assert_eq!(summary.files, 9);
    assert_eq!(summary.good_rows, 2 * 840);
    assert_eq!(summary.bad_rows, 2 * 4 * 25);
    let size: usize = bytes(&a).iter().map(Vec::len).sum();
    assert_eq!(summary.bytes, size as u64);
}

/// The good rows of a file, the count of bad ones, and the reasons given for those.
async fn read<R: Row>(out: &Path, slug: &str) -> (Vec<R>, BTreeSet<String>, usize) {
    let source = MockSource { path: out.to_owned() };
    let (mut good, mut reasons, mut bad) = (Vec::new(), BTreeSet::new(), 0);
    let mut rows = source.rows(slug, R::DATASET);
    while let Some(row) = rows.next().await {
        match row.expect("readable").json.and_then(|it| parse::<R>(&it, slug, chrono_tz::Tz::UTC)) {
            Ok(row) => good.push(row),
            Err(reason) => {
                bad += 1;
                reasons.insert(reason);
            }
        }
    }
    (good, reasons, bad)
}

async fn counts<R: Row>(out: &Path, good: usize) {
    for slug in ["tenant_demo_1", "tenant_demo_2"] {
        let (rows, reasons, bad) = read::<R>(out, slug).await;
        assert_eq!((rows.len(), bad), (good, 25), "{} {reasons:#?}", R::DATASET);
        assert_eq!(reasons.len() as u64, bad::KINDS, "{} {reasons:#?}", R::DATASET);
    }
}

#[tokio::test]
async fn every_good_row_is_accepted_and_every_bad_row_refused() {
    for layout in [Layout::Jsonl, Layout::Json] {
        let dir = tempfile::tempdir().expect("a folder");
        generate(&settings(dir.path(), layout)).expect("written");
        counts::<Ticket>(dir.path(), 300).await;
        counts::<TimeEntry>(dir.path(), 400).await;
        counts::<CsatSurvey>(dir.path(), 60).await;
        counts::<SecurityAlert>(dir.path(), 80).await;
    }
}

#[tokio::test]
async fn rows_are_mixed_and_within_the_days() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(dir.path(), Layout::Json);
    generate(&settings).expect("written");
    let (tickets, ..) = read::<Ticket>(dir.path(), "tenant_demo_1").await;
    let statuses: BTreeSet<_> = tickets.iter().map(|it| it.status.as_str()).collect();
    let all = ["Closed", "Completed", "In Progress", "New", "Resolved", "Waiting"];
    assert!(statuses.iter().eq(&all), "{statuses:?}");
    let ended = |it: &&Ticket| matches!(&*it.status, "Closed" | "Resolved" | "Completed");
    let closed = tickets.iter().filter(ended).count();
    let told = tickets.iter().filter(|it| it.closed_at_remote.is_some()).count();
    assert!(told * 3 > closed && told * 3 < closed * 2, "{told} of {closed}");
    let days: BTreeSet<_> = tickets.iter().map(|it| it.created_at_remote.date_naive()).collect();
    assert_eq!(days.len(), 30);
    assert_eq!(days.last(), Some(&settings.until));
    assert!(tickets.iter().all(|it| it.updated_at_remote.date_naive() <= settings.until));
    let (entries, ..) = read::<TimeEntry>(dir.path(), "tenant_demo_1").await;
    let ids: BTreeSet<_> = tickets.iter().map(|it| &it.cw_ticket_id).collect();
    assert!(entries.iter().all(|it| ids.contains(&it.cw_ticket_id)));
}

#[test]
fn a_folder_in_use_is_left_alone_unless_forced() {
    let dir = tempfile::tempdir().expect("a folder");
    generate(&settings(dir.path(), Layout::Jsonl)).expect("written");
    let before = contents(dir.path());
    let again = Generate { seed: 8, ..settings(dir.path(), Layout::Json) };
    let error = generate(&again).expect_err("refused");
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(contents(dir.path()), before);
    generate(&Generate { force: true, ..again }).expect("written");
    // The files of the other layout would be read first and hide the new ones.
    let names = contents(dir.path());
    assert!(names.iter().all(|(name, _)| name.extension().is_some_and(|it| it == "json")));
}

#[test]
fn nothing_is_something_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let empty = Generate {
        tickets: 0,
        alerts: 0,
        surveys: 0,
        days: 0,
        bad_rows: 0,
        ..settings(dir.path(), Layout::Json)
    };
    assert_eq!(generate(&empty).expect("written").good_rows, 800);
    let file = fs::read(dir.path().join("tickets/tenant_demo_1.json")).expect("a file");
    assert_eq!(file, b"[]\n");
    let far = Generate { force: true, days: u32::MAX, ..empty };
    let error = generate(&far).expect_err("refused");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

/// How many tickets there are of each of the days.
async fn per_day(settings: &Generate, slug: &str) -> Vec<(NaiveDate, f64)> {
    let (tickets, ..) = read::<Ticket>(&settings.out, slug).await;
    let first = first_day(settings).expect("a day");
    let count = |day: NaiveDate| {
        let of_it = tickets.iter().filter(|it| it.created_at_remote.date_naive() == day).count();
        f64::from(u32::try_from(of_it).expect("few"))
    };
    first.iter_days().take(settings.days as usize).map(|day| (day, count(day))).collect()
}

/// As the KPIs have it.
fn z_score(history: &[(NaiveDate, f64)], tickets: f64) -> f64 {
    let days = f64::from(u32::try_from(history.len()).expect("few"));
    let mean = history.iter().map(|it| it.1).sum::<f64>() / days;
    let variance = history.iter().map(|it| (it.1 - mean).powi(2)).sum::<f64>() / (days - 1.0);
    (tickets - mean) / variance.sqrt().max(mean.sqrt()).max(1.0)
}

#[tokio::test]
async fn tickets_follow_the_week_and_now_and_then_a_day_is_unusual() {
    for (days, tickets, at_least) in [(30, 100, 1), (120, 1000, 3), (365, 20_000, 10)] {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = Generate { days, tickets, bad_rows: 0, ..settings(dir.path(), Layout::Jsonl) };
        generate(&settings).expect("written");
        for slug in ["tenant_demo_1", "tenant_demo_2"] {
            let counts = per_day(&settings, slug).await;
            let unusual: Vec<usize> = (7..counts.len())
                .filter(|day| z_score(&counts[day.saturating_sub(28)..*day], counts[*day].1) >= 3.0)
                .collect();
            assert!(
                (at_least..=at_least + 1).contains(&unusual.len()),
                "{slug} {days}: {unusual:?} {counts:?}"
            );
            assert!(unusual.windows(2).all(|two| two[1] - two[0] == 35), "{unusual:?}");
            let mean = |weekend: bool| {
                let usual = counts.iter().enumerate().filter(|(day, _)| !unusual.contains(day));
                let of_it: Vec<f64> = usual
                    .filter(|(_, (day, _))| (day.weekday().number_from_monday() > 5) == weekend)
                    .map(|(_, (_, count))| *count)
                    .collect();
                of_it.iter().sum::<f64>() / f64::from(u32::try_from(of_it.len()).expect("few"))
            };
            assert!(mean(true) * 3.0 < mean(false), "{slug}: {} and {}", mean(true), mean(false));
        }
    }
}
