//! Days of the tenants' time zones: where they begin and end.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use sqlx::PgPool;
use weirgate_queue::schedule::cron::Cron;
use weirgate_test_support::{IDENTITY, TestDb};

/// A day in a zone, as `local_day_start` has it.
#[derive(Debug)]
struct Day {
    zone: Tz,
    day: NaiveDate,
    starts: DateTime<Utc>,
    ends: DateTime<Utc>,
}

/// The days from 2020 to 2035 of every zone that both Postgres and the schedules know: those about
/// a change of the clocks and some others; all of them with `DAYS=all`, which takes some minutes.
async fn days(pool: &PgPool) -> Vec<Day> {
    let zones: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
    let rows: Vec<(String, NaiveDate, DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(
        "with week as (
             -- Of the first and the last noon.
             select z.name, week::date as day,
                 (week + interval '12 hours') at time zone z.name - (week + interval '12 hours') at time zone 'UTC' as before,
                 (week + interval '8 days 12 hours') at time zone z.name
                     - (week + interval '8 days 12 hours') at time zone 'UTC' as after
             from identity.time_zones z
             cross join generate_series(timestamp '2020-01-01', '2035-12-24', '7 days') as week
             where z.name = any($1)
         )
         select name, day + n, identity.local_day_start(day + n, name), identity.local_day_start(day + n + 1, name)
         from week cross join generate_series(0, 8) as n
         where $2 or before <> after or (n = 0 and day - date '2020-01-01' = 7 * (hashtext(name) & 511))",
    )
    .bind(zones)
    .bind(std::env::var("DAYS").is_ok_and(|days| days == "all"))
    .fetch_all(pool)
    .await
    .unwrap();
    let days = rows.into_iter().map(|(zone, day, starts, ends)| Day {
        zone: zone.parse().unwrap(),
        day,
        starts,
        ends,
    });
    days.collect()
}

#[tokio::test]
async fn every_instant_is_of_one_day_the_one_that_its_zone_names() {
    let db = TestDb::of(&IDENTITY).await;
    let days = days(&db.pool).await;
    assert!(days.len() > 30_000, "{}", days.len());
    let zones: std::collections::HashSet<&str> = days.iter().map(|day| day.zone.name()).collect();
    assert!(zones.len() > 300, "{}", zones.len());
    // As a day ends where the next one starts, no instant is of two days or of none. Those of days
    // that are longer or shorter are looked at by quarters of an hour, and the edges of all.
    let wrong: Vec<(String, NaiveDate, DateTime<Utc>)> = sqlx::query_as(
        "select zone, day, at
         from unnest($1::text[], $2::date[], $3::timestamptz[], $4::timestamptz[]) as d (zone, day, starts, ends)
         cross join lateral (
             select generate_series(starts, ends - interval '1 microsecond', '15 minutes') where ends - starts <> interval '1 day'
             union all select starts where starts < ends
             union all select ends - interval '1 microsecond' where starts < ends
         ) as i (at)
         where (at at time zone zone)::date <> day limit 10",
    )
    .bind(days.iter().map(|day| day.zone.name()).collect::<Vec<_>>())
    .bind(days.iter().map(|day| day.day).collect::<Vec<_>>())
    .bind(days.iter().map(|day| day.starts).collect::<Vec<_>>())
    .bind(days.iter().map(|day| day.ends).collect::<Vec<_>>())
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert_eq!(wrong, []);
}

#[tokio::test]
async fn each_day_has_one_tick_after_it_began() {
    let db = TestDb::of(&IDENTITY).await;
    let days = days(&db.pool).await;
    let cron = Cron::parse("0 15 0 * * *").unwrap();
    let moment = TimeDelta::microseconds(1);
    let mut looked_at = 0;
    for Day { zone, day, starts, ends } in &days {
        // Where the calendar of the program is of another year than that of the server, they may
        // differ on a day.
        let local = |at: DateTime<Utc>| at.with_timezone(zone).date_naive();
        if local(*starts) != *day || local(*ends - moment) != *day || local(*starts - moment) >= *day {
            continue;
        }
        // The parser looks for the end of what the clocks leave out for two hours. More was left
        // out in Antarctica/Casey alone, until 2022.
        if *ends - *starts < TimeDelta::hours(22) {
            continue;
        }
        let ticks: Vec<_> = cron.between(*starts - moment, *ends - moment, *zone).collect();
        assert_eq!(ticks.len(), 1, "{zone} {day}: {ticks:?}");
        looked_at += 1;
    }
    assert!(looked_at * 100 > days.len() * 95, "{looked_at} of {}", days.len());
}

#[tokio::test]
async fn midnight_may_be_there_twice_or_not_at_all() {
    let db = TestDb::of(&IDENTITY).await;
    for (zone, day, starts) in [
        ("Atlantic/Azores", "2025-10-26", "2025-10-26T00:00:00Z"),
        ("Atlantic/Azores", "2025-10-27", "2025-10-27T01:00:00Z"),
        ("America/Havana", "2025-11-02", "2025-11-02T04:00:00Z"),
        ("America/Santiago", "2025-09-07", "2025-09-07T04:00:00Z"),
        ("Asia/Beirut", "2025-10-26", "2025-10-25T22:00:00Z"),
        // 23:30 was followed by 00:30.
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30:00Z"),
        // A day that there was not.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
        ("UTC", "2026-01-20", "2026-01-20T00:00:00Z"),
    ] {
        let found: DateTime<Utc> = sqlx::query_scalar("select identity.local_day_start($1, $2)")
            .bind(day.parse::<NaiveDate>().unwrap())
            .bind(zone)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert_eq!(found, starts.parse::<DateTime<Utc>>().unwrap(), "{zone} {day}");
    }
}
