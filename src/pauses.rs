//! Pauses, and their end: of a queue, a tenant's lanes, a backfill or a schedule. Commands, pages
//! and HTTP call it.

use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_queue::lanes::change::{LaneChange, change_lane, pause_queue};
use weirgate_queue::schedule::{self, Definition, ScheduleChange};
use weirgate_queue::{Result, backfill};

/// What can be paused, and resumed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pausable<'a> {
    Queue(&'a str),
    /// A tenant's lane of a queue.
    Lane {
        tenant: Uuid,
        slug: &'a str,
        queue: &'a str,
    },
    /// A tenant, in each of these queues, in order of their names.
    Tenant {
        id: Uuid,
        slug: &'a str,
        queues: &'a [&'a str],
    },
    Backfill(Uuid),
    Schedule(&'a Definition),
}

/// Pauses it, or resumes it, and notes in the audit who did. What is as it should be stays so.
///
/// # Errors
/// Of a backfill, when it is final or being cancelled; and when the database cannot answer.
pub(crate) async fn set_paused(
    conn: &mut PgConnection,
    actor: &Actor,
    what: Pausable<'_>,
    paused: bool,
) -> Result<()> {
    let noted = Change::begin(conn, what.subject()).await?;
    what.set(conn, paused).await?;
    let (action, about) = what.called(paused);
    noted.note(conn, actor, action, &[about]).await?;
    Ok(())
}

impl<'a> Pausable<'a> {
    fn subject(self) -> Subject<'a> {
        match self {
            Self::Queue(name) => Subject::Queue(name),
            Self::Lane { tenant, slug, queue } => Subject::Lane { tenant, slug, queue },
            Self::Tenant { id, slug, queues } => Subject::Lanes { tenant: id, slug, queues },
            Self::Backfill(id) => Subject::Backfill(id),
            Self::Schedule(definition) => Subject::Schedule(definition),
        }
    }

    async fn set(self, conn: &mut PgConnection, paused: bool) -> Result<()> {
        let lane = LaneChange { paused: Some(paused), limits: None };
        match self {
            Self::Queue(name) => pause_queue(conn, name, paused).await,
            Self::Lane { tenant, queue, .. } => change_lane(conn, queue, tenant, lane).await,
            Self::Tenant { id, queues, .. } => {
                for queue in queues {
                    change_lane(conn, queue, id, lane).await?;
                }
                Ok(())
            }
            Self::Backfill(id) if paused => backfill::pause(conn, id).await,
            Self::Backfill(id) => backfill::resume(conn, id).await,
            Self::Schedule(definition) => {
                let change = ScheduleChange { enabled: Some(!paused), ..ScheduleChange::default() };
                schedule::update_settings(conn, definition, &change).await
            }
        }
    }

    /// What the audit calls it, and what of its subject it is about. The names are permanent, as
    /// rows have them.
    fn called(self, paused: bool) -> (&'static str, &'static str) {
        match (self, paused) {
            (Self::Queue(_), true) => ("queue.pause", "paused"),
            (Self::Queue(_), false) => ("queue.resume", "paused"),
            (Self::Lane { .. }, true) => ("lane.pause", "paused"),
            (Self::Lane { .. }, false) => ("lane.resume", "paused"),
            (Self::Tenant { .. }, true) => ("tenant.pause", "paused"),
            (Self::Tenant { .. }, false) => ("tenant.resume", "paused"),
            (Self::Backfill(_), true) => ("backfill.pause", "state"),
            (Self::Backfill(_), false) => ("backfill.resume", "state"),
            (Self::Schedule(_), true) => ("schedule.off", "enabled"),
            (Self::Schedule(_), false) => ("schedule.on", "enabled"),
        }
    }
}
