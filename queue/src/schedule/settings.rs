//! The settings of schedules, which operators change. They are stored in `queue.schedules`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{Definition, Missed, Schedules};
use crate::database::column::column;
use crate::error::Result;
use crate::schedule::cron::{self, Cron};

/// The settings of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSettings {
    /// Name of the schedule.
    pub name: String,
    /// As in [`Definition::cron`].
    pub cron: String,
    /// As in [`Definition::time_zone`].
    pub time_zone: Option<String>,
    /// False while it is paused.
    pub enabled: bool,
    /// As in [`Definition::missed`].
    pub missed: Missed,
    /// As in [`Definition::missed_limit`].
    pub missed_limit: u16,
    /// Ticks up to this time do not fire.
    pub since: DateTime<Utc>,
    /// When upkeep was last done, to the minute.
    pub upkeep_at: Option<DateTime<Utc>>,
    /// When the settings were last changed; `None` of defaults that no leader has stored yet.
    pub updated_at: Option<DateTime<Utc>>,
}

impl ScheduleSettings {
    pub(crate) fn defaults(of: &Definition, now: DateTime<Utc>) -> Self {
        Self {
            name: of.name.to_owned(),
            cron: of.cron.to_owned(),
            time_zone: of.time_zone.map(str::to_owned),
            enabled: true,
            missed: of.missed,
            missed_limit: of.missed_limit,
            since: now,
            upkeep_at: None,
            updated_at: None,
        }
    }
}

/// The settings of all schedules that are stored, and the database's time.
pub(crate) async fn load(conn: &mut PgConnection) -> Result<(Vec<ScheduleSettings>, DateTime<Utc>)> {
    let rows = sqlx::query!(
        r#"select n.now as "now!", s.name as "name?", s.cron as "cron?", s.time_zone, s.enabled as "enabled?",
            s.missed as "missed?: Missed", s.missed_limit as "missed_limit?", s.since as "since?", s.upkeep_at,
            s.updated_at as "updated_at?"
           from (select queue.now() as now) n left join queue.schedules s on true order by s.name"#
    )
    .fetch_all(conn)
    .await?;
    let now = rows.first().map(|row| row.now).ok_or(sqlx::Error::RowNotFound)?;
    let settings = rows.into_iter().filter_map(|row| {
        Some(ScheduleSettings {
            name: row.name?,
            cron: row.cron?,
            time_zone: row.time_zone,
            enabled: row.enabled?,
            missed: row.missed?,
            missed_limit: u16::try_from(row.missed_limit?).ok()?,
            since: row.since?,
            upkeep_at: row.upkeep_at,
            updated_at: row.updated_at,
        })
    });
    Ok((settings.collect(), now))
}

/// The names of those that are paused.
pub async fn disabled(conn: &mut PgConnection, schedules: &Schedules) -> Result<Vec<&'static str>> {
    let (stored, _) = load(conn).await?;
    let is_off = |name: &str| stored.iter().any(|it| it.name == name && !it.enabled);
    let known = schedules.definitions();
    Ok(known.into_iter().map(|it| it.name).filter(|name| is_off(name)).collect())
}

/// The settings of one schedule, and the database's time.
pub(crate) async fn load_one(
    conn: &mut PgConnection,
    of: &Definition,
) -> Result<(ScheduleSettings, DateTime<Utc>)> {
    let (all, now) = load(conn).await?;
    let stored = all.into_iter().find(|it| it.name == of.name);
    Ok((stored.unwrap_or_else(|| ScheduleSettings::defaults(of, now)), now))
}

/// Stores the defaults of schedules that are not stored yet; leaves the others alone.
pub(crate) async fn register(conn: &mut PgConnection, definitions: &[Definition]) -> Result<()> {
    sqlx::query!(
        "insert into queue.schedules
            (name, cron, time_zone, enabled, missed, missed_limit, since, updated_at)
         select name, cron, time_zone, true, missed, missed_limit, queue.now(), queue.now()
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[])
            as d (name, cron, time_zone, missed, missed_limit)
         on conflict (name) do nothing",
        &column(definitions, |it| it.name.to_owned()),
        &column(definitions, |it| it.cron.to_owned()),
        &column(definitions, |it| it.time_zone.map(str::to_owned)) as &[Option<String>],
        &column(definitions, |it| it.missed.as_str().to_owned()),
        &column(definitions, |it| i32::from(it.missed_limit)),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that upkeep was done, at most once a minute.
pub(crate) async fn record_upkeep(conn: &mut PgConnection, name: &str) -> Result<()> {
    sqlx::query!(
        "update queue.schedules set upkeep_at = queue.now()
         where name = $1 and (upkeep_at is null or upkeep_at <= queue.now() - interval '1 minute')",
        name
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A change of settings; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleChange {
    /// As in [`Definition::cron`].
    pub cron: Option<String>,
    /// As in [`Definition::time_zone`].
    pub time_zone: Option<Option<String>>,
    /// False pauses it.
    pub enabled: Option<bool>,
    /// As in [`Definition::missed`].
    pub missed: Option<Missed>,
    /// As in [`Definition::missed_limit`].
    pub missed_limit: Option<u16>,
}

impl ScheduleChange {
    /// The names of the settings that it changes.
    pub fn field_names(&self) -> Vec<&'static str> {
        let Self { cron, time_zone, enabled, missed, missed_limit } = self;
        let fields = [
            ("cron", cron.is_some()),
            ("time_zone", time_zone.is_some()),
            ("enabled", enabled.is_some()),
            ("missed", missed.is_some()),
            ("missed_limit", missed_limit.is_some()),
        ];
        fields.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect()
    }
}

/// A setting that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The name of the field in [`ScheduleChange`].
    pub field: &'static str,
    /// What is wrong with it, and what was expected.
    pub message: String,
}

/// Everything that is wrong with a change; nothing when it can be applied.
pub async fn validate(
    conn: &mut PgConnection,
    of: &Definition,
    change: &ScheduleChange,
) -> Result<Vec<InvalidSetting>> {
    let now = sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(conn).await?;
    let mut invalid = Vec::new();
    let mut refuse = |field, message: String| invalid.push(InvalidSetting { field, message });
    if let Some(text) = &change.cron {
        match Cron::parse(text) {
            Ok(cron) if cron.next_after(now, chrono_tz::UTC).is_none() => {
                refuse("cron", format!("{text:?} never fires"));
            }
            Ok(_) => {}
            Err(message) => refuse("cron", message),
        }
    }
    match &change.time_zone {
        Some(None) if !of.per_tenant => {
            refuse("time_zone", format!("{} does not run per tenant, so it needs a time zone", of.name));
        }
        Some(Some(name)) => {
            if let Err(message) = cron::parse_zone(name) {
                refuse("time_zone", message);
            }
        }
        _ => {}
    }
    if of.is_upkeep() && change.missed.is_some_and(|it| it != of.missed) {
        refuse("missed", "maintenance always catches up with a single run".to_owned());
    }
    if change.missed_limit.is_some_and(|limit| !(1..=1000).contains(&limit)) {
        refuse("missed_limit", "expected a whole number from 1 to 1000".to_owned());
    }
    Ok(invalid)
}

/// Changes the settings of a schedule for good; the caller has [validated](validate) the change.
///
/// Only later ticks count from then on: neither resuming a schedule nor a new cron expression or
/// time zone brings back ticks of the past.
pub async fn update_settings(
    conn: &mut PgConnection,
    of: &Definition,
    change: &ScheduleChange,
) -> Result<()> {
    register(conn, std::slice::from_ref(of)).await?;
    sqlx::query!(
        "update queue.schedules
         set cron = coalesce($2, cron),
             time_zone = case when $3 then $4 else time_zone end,
             enabled = coalesce($5, enabled),
             missed = coalesce($6, missed),
             missed_limit = coalesce($7, missed_limit),
             since = case
                 when coalesce($2, cron) = cron and coalesce($5, enabled) = enabled
                     and (not $3 or $4 is not distinct from time_zone) then since
                 else queue.now()
             end,
             updated_at = queue.now()
         where name = $1",
        of.name,
        change.cron,
        change.time_zone.is_some(),
        change.time_zone.clone().flatten(),
        change.enabled,
        change.missed.map(Missed::as_str),
        change.missed_limit.map(i32::from)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks the settings of a schedule until the caller's transaction ends.
pub(crate) async fn lock(conn: &mut PgConnection, of: &Definition) -> Result<()> {
    register(conn, std::slice::from_ref(of)).await?;
    sqlx::query!("select name from queue.schedules where name = $1 for update", of.name)
        .fetch_optional(conn)
        .await?;
    Ok(())
}

/// What the audit says of a schedule before and after a change; see [`crate::control::target`].
pub(crate) async fn describe(conn: &mut PgConnection, of: &Definition) -> Result<Option<Value>> {
    let settings = sqlx::query_scalar!(
        r#"select jsonb_build_object('cron', cron, 'time_zone', time_zone, 'enabled', enabled, 'missed', missed,
            'missed_limit', missed_limit) as "it!"
           from queue.schedules where name = $1"#,
        of.name
    )
    .fetch_optional(conn)
    .await?;
    Ok(settings)
}
