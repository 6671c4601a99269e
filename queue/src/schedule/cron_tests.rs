use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

const BERLIN: Tz = Tz::Europe__Berlin;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// The ticks between two times, in Berlin's local time.
fn berlin(cron: &str, after: &str, until: &str) -> Vec<String> {
    let ticks = Cron::parse(cron).unwrap().between(at(after), at(until), BERLIN).collect::<Vec<_>>();
    ticks.into_iter().map(|tick| tick.with_timezone(&BERLIN).format("%d %H:%M:%S %Z").to_string()).collect()
}

#[test]
fn zone_has_one_spelling() {
    assert_eq!(parse_zone("Europe/Berlin"), Ok(BERLIN));
    let spelled = "no IANA time zone \"europe/berlin\"; it is spelled \"Europe/Berlin\"";
    assert_eq!(parse_zone("europe/berlin"), Err(spelled.to_owned()));
    for wrong in ["MSK", "UTC+3", "+03:00", "", " UTC", "CEST"] {
        assert!(parse_zone(wrong).unwrap_err().contains("such as"), "{wrong}");
    }
}

#[test]
fn tick_in_a_skipped_hour_comes_right_after_it() {
    // 2026-03-29: 02:00 CET is 03:00 CEST.
    let day = |cron| berlin(cron, "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
    assert_eq!(day("0 30 2 * * *"), ["29 03:00:00 CEST", "30 02:30:00 CEST"]);
    assert_eq!(day("0 15 0 * * *"), ["29 00:15:00 CET", "30 00:15:00 CEST"], "other times are as ever");
}

#[test]
fn tick_in_a_repeated_hour_comes_the_first_time() {
    // 2026-10-25: 03:00 CEST is 02:00 CET.
    let day = |cron| berlin(cron, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
    assert_eq!(day("0 30 2 * * *"), ["25 02:30:00 CEST", "26 02:30:00 CET"]);
}

#[test]
fn interval_counts_elapsed_time_where_clocks_change() {
    let spring = berlin("0 */30 * * * *", "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z");
    assert_eq!(spring, ["29 01:30:00 CET", "29 03:00:00 CEST", "29 03:30:00 CEST"]);
    let autumn = berlin("0 */30 * * * *", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z");
    assert_eq!(autumn, ["25 02:30:00 CEST", "25 02:00:00 CET", "25 02:30:00 CET", "25 03:00:00 CET"]);
}

#[test]
fn tick_moves_when_midnight_is_skipped() {
    // Cairo's clocks go from 00:00 to 01:00 on 2026-04-24.
    let cron = Cron::parse("0 15 0 * * *").unwrap();
    let next = cron.next_after(at("2026-04-23T12:00:00Z"), Tz::Africa__Cairo).unwrap();
    assert_eq!(next, at("2026-04-23T22:00:00Z"));
    assert_eq!(next.with_timezone(&Tz::Africa__Cairo).to_string(), "2026-04-24 01:00:00 EEST");
}

#[test]
fn ticks_between_two_times_include_the_later_one() {
    let every_second = Cron::parse("* * * * * *").unwrap();
    let (after, until) = (at("2026-01-01T00:00:00.5Z"), at("2026-01-01T00:00:02Z"));
    let expected = [at("2026-01-01T00:00:01Z"), until];
    assert_eq!(every_second.between(after, until, BERLIN).collect::<Vec<_>>(), expected);
    let mut back: Vec<_> = every_second.between_backwards(until, after, BERLIN).collect();
    back.reverse();
    assert_eq!(back, expected);
}

#[test]
fn expression_of_five_fields_ticks_at_second_0() {
    assert_eq!(berlin("15 8 * * *", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"), ["01 08:15:00 CET"]);
    assert_eq!(berlin("*/20 * * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z").len(), 3);
}

#[test]
fn invalid_expression_names_the_field_and_the_reason() {
    for (cron, says) in [
        ("0 99 * * * *", "field 2 (minute), \"99\": "),
        ("99 * * * *", "field 1 (minute), \"99\": "),
        ("0 0 24 * * *", "field 3 (hour), \"24\": "),
        ("0 0 0 * 13 *", "field 5 (month), \"13\": "),
        ("0 0 0 * * MOO", "field 6 (day of week), \"MOO\": "),
        ("* * *", "expected 6 fields (second, minute, "),
        ("0 0 0 * * * 2026", "expected 6 fields"),
        ("", "expected 6 fields"),
        ("@daily", "expected 6 fields"),
    ] {
        let error = Cron::parse(cron).unwrap_err();
        assert!(error.starts_with(says), "{cron}: {error}");
        assert!(error.len() > says.len() + 3, "{cron}: {error}");
    }
    assert!(parse_zone("Europe/Atlantis").unwrap_err().contains("Europe/Atlantis"));
}

#[test]
fn day_that_never_occurs_has_no_tick() {
    assert_eq!(Cron::parse("0 0 0 30 2 *").unwrap().next_after(at("2026-01-01T00:00:00Z"), BERLIN), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Missed ticks are searched backwards, so both directions must find the same ticks, also where
    /// clocks change.
    #[test]
    fn both_directions_find_the_same_ticks(
        second in prop::sample::select(vec!["0", "30", "*/20"]),
        minute in prop::sample::select(vec!["0", "15", "*/30", "7-9", "59"]),
        hour in prop::sample::select(vec!["0", "1", "2", "3", "*", "*/2", "2,3", "23"]),
        zone in prop::sample::select(vec![Tz::UTC, BERLIN, Tz::Africa__Cairo, Tz::Australia__Lord_Howe]),
        start in prop::sample::select(vec!["2026-03-28", "2026-04-04", "2026-04-23", "2026-10-03", "2026-10-24", "2026-10-29"]),
        offset_ms in 0..86_400_000i64,
    ) {
        let cron = Cron::parse(&format!("{second} {minute} {hour} * * *")).unwrap();
        let after = at(&format!("{start}T00:00:00Z")) + TimeDelta::milliseconds(offset_ms);
        let until = after + TimeDelta::hours(50);
        let forward: Vec<_> = cron.between(after, until, zone).collect();
        let mut back: Vec<_> = cron.between_backwards(until, after, zone).collect();
        back.reverse();
        prop_assert_eq!(forward, back);
    }
}

#[test]
fn zones_to_choose_from_are_known_and_named_by_their_places() {
    let names: Vec<&str> = zone_names().collect();
    assert!(names.contains(&"Europe/Berlin") && names.contains(&"UTC"));
    assert!(!names.iter().any(|name| name.starts_with("Etc/") || *name == "US/Eastern"));
    assert!(names.iter().all(|name| parse_zone(name).is_ok()));
}
